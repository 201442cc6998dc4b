package dev.keybound.android

import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyInfo
import android.security.keystore.KeyProperties
import android.security.keystore.StrongBoxUnavailableException
import java.io.InputStream
import java.io.OutputStream
import java.security.Key
import java.security.KeyFactorySpi
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.KeyPairGeneratorSpi
import java.security.KeyStoreSpi
import java.security.PrivateKey
import java.security.Provider
import java.security.PublicKey
import java.security.SecureRandom
import java.security.Security
import java.security.cert.Certificate
import java.security.spec.AlgorithmParameterSpec
import java.security.spec.ECGenParameterSpec
import java.security.spec.KeySpec
import java.util.Collections
import java.util.Date
import java.util.Enumeration
import javax.crypto.KeyGenerator
import javax.crypto.KeyGeneratorSpi
import javax.crypto.SecretKey

/** Stands in for Android's Keystore: the same names, software keys, and faults when they are asked for. */
object FakeKeystore : Provider(PROVIDER, "1", "keys in memory") {
    private fun readResolve(): Any = FakeKeystore

    class Entry(val key: Key, val publicKey: PublicKey?, val spec: KeyGenParameterSpec, val created: Date = Date())

    val kept: MutableMap<String, Entry> = Collections.synchronizedMap(LinkedHashMap())
    var hasStrongBox = true
    var securityLevel = KeyProperties.SECURITY_LEVEL_TRUSTED_ENVIRONMENT
    var fault: Exception? = null

    init {
        put("KeyStore.$PROVIDER", Store::class.java.name)
        put("KeyPairGenerator.EC", Pairs::class.java.name)
        put("KeyGenerator.AES", Secrets::class.java.name)
        put("KeyFactory.EC", Infos::class.java.name)
    }

    /** As a device is at first. */
    fun reset() {
        if (Security.getProvider(PROVIDER) == null) Security.addProvider(this)
        kept.clear()
        hasStrongBox = true
        securityLevel = KeyProperties.SECURITY_LEVEL_TRUSTED_ENVIRONMENT
        fault = null
    }

    class Pairs : KeyPairGeneratorSpi() {
        private lateinit var spec: KeyGenParameterSpec

        override fun initialize(size: Int, random: SecureRandom?) = throw UnsupportedOperationException()

        override fun initialize(params: AlgorithmParameterSpec, random: SecureRandom?) {
            spec = params as KeyGenParameterSpec
        }

        override fun generateKeyPair(): KeyPair {
            if (spec.isStrongBoxBacked && !hasStrongBox) throw StrongBoxUnavailableException("no StrongBox")
            val software = KeyPairGenerator.getInstance("EC", "SunEC").apply { initialize(spec.algorithmParameterSpec as ECGenParameterSpec) }
            val pair = software.generateKeyPair()
            kept[spec.keystoreAlias] = Entry(pair.private, pair.public, spec)
            return pair
        }
    }

    class Secrets : KeyGeneratorSpi() {
        private lateinit var spec: KeyGenParameterSpec

        override fun engineInit(random: SecureRandom?) = throw UnsupportedOperationException()

        override fun engineInit(size: Int, random: SecureRandom?) = throw UnsupportedOperationException()

        override fun engineInit(params: AlgorithmParameterSpec, random: SecureRandom?) {
            spec = params as KeyGenParameterSpec
        }

        override fun engineGenerateKey(): SecretKey {
            val key = KeyGenerator.getInstance("AES", "SunJCE").apply { init(spec.keySize) }.generateKey()
            kept[spec.keystoreAlias] = Entry(key, null, spec)
            return key
        }
    }

    class Infos : KeyFactorySpi() {
        override fun <T : KeySpec> engineGetKeySpec(key: Key, type: Class<T>): T {
            val spec = kept.values.first { it.key === key }.spec
            val level = if (spec.isStrongBoxBacked) KeyProperties.SECURITY_LEVEL_STRONGBOX else securityLevel
            // The constructor is not for apps, and differs between versions: what matters is the level.
            val constructor = KeyInfo::class.java.declaredConstructors.first()
            val arguments = constructor.parameterTypes.map { parameter ->
                when (parameter) {
                    Boolean::class.javaPrimitiveType -> false
                    Int::class.javaPrimitiveType -> level
                    Long::class.javaPrimitiveType -> 0L
                    else -> if (parameter.isArray) java.lang.reflect.Array.newInstance(parameter.componentType, 0) else null
                }
            }
            return type.cast(constructor.newInstance(*arguments.toTypedArray()))
        }

        override fun engineGeneratePublic(spec: KeySpec?) = throw UnsupportedOperationException()

        override fun engineGeneratePrivate(spec: KeySpec?) = throw UnsupportedOperationException()

        override fun engineTranslateKey(key: Key?) = throw UnsupportedOperationException()
    }

    private class Bare(private val key: PublicKey) : Certificate("X.509") {
        override fun getPublicKey() = key
        override fun getEncoded() = ByteArray(0)
        override fun verify(key: PublicKey?) = Unit
        override fun verify(key: PublicKey?, provider: String?) = Unit
        override fun toString() = "a public key"
    }

    class Store : KeyStoreSpi() {
        override fun engineGetKey(alias: String, password: CharArray?): Key? {
            fault?.let { throw it }
            return kept[alias]?.key
        }

        override fun engineGetCertificate(alias: String): Certificate? = kept[alias]?.publicKey?.let(::Bare)
        override fun engineDeleteEntry(alias: String) {
            kept.remove(alias)
        }

        override fun engineAliases(): Enumeration<String> = Collections.enumeration(kept.keys.toList())
        override fun engineContainsAlias(alias: String) = alias in kept
        override fun engineSize() = kept.size
        override fun engineIsKeyEntry(alias: String) = kept[alias]?.key is PrivateKey
        override fun engineLoad(stream: InputStream?, password: CharArray?) = Unit
        override fun engineGetCertificateChain(alias: String?) = null
        override fun engineGetCreationDate(alias: String): Date? = kept[alias]?.created
        override fun engineSetKeyEntry(a: String?, b: Key?, c: CharArray?, d: Array<out Certificate>?) = throw UnsupportedOperationException()
        override fun engineSetKeyEntry(a: String?, b: ByteArray?, c: Array<out Certificate>?) = throw UnsupportedOperationException()
        override fun engineSetCertificateEntry(a: String?, b: Certificate?) = throw UnsupportedOperationException()
        override fun engineIsCertificateEntry(alias: String?) = false
        override fun engineGetCertificateAlias(cert: Certificate?) = null
        override fun engineStore(stream: OutputStream?, password: CharArray?) = throw UnsupportedOperationException()
    }
}
