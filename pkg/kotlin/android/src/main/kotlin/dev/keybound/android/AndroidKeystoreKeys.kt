package dev.keybound.android

import android.os.Build
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyInfo
import android.security.keystore.KeyProperties
import android.security.keystore.StrongBoxUnavailableException
import dev.keybound.CreatedKey
import dev.keybound.KeyFaultException
import dev.keybound.ProofKeyStore
import dev.keybound.Protection
import dev.keybound.Signature
import dev.keybound.SignatureEncoding
import dev.keybound.SigningRequest
import dev.keybound.thumbprint
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import java.math.BigInteger
import java.security.KeyFactory
import java.security.KeyPairGenerator
import java.security.KeyStore
import java.security.PrivateKey
import java.security.PublicKey
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.util.Base64
import java.util.UUID

/**
 * Keys in Android's Keystore, which never leave it: in StrongBox where the device has it, else in its trusted environment.
 *
 * They sign ES256 and give DER. The aliases of an account begin with its name: accounts have no key in common.
 *
 * @param account whose keys they are: one name for each account of the app
 * @param requireUnlocked whether keys can be used only while the device is unlocked
 * @param onFallback is told why a key is not in StrongBox; the key says where it is
 */
public class AndroidKeystoreKeys internal constructor(
    private val account: String,
    private val requireUnlocked: Boolean,
    private val onFallback: (String) -> Unit,
    private val sdk: Int,
) : ProofKeyStore {
    @JvmOverloads
    public constructor(account: String, requireUnlocked: Boolean = false, onFallback: (reason: String) -> Unit = {}) :
        this(account, requireUnlocked, onFallback, Build.VERSION.SDK_INT)

    private val prefix = "dev.keybound/$account/"

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>): CreatedKey = io {
        check("ES256" in algorithms) { "Android's Keystore signs ES256, and the server takes ${algorithms.joinToString()}" }
        val alias = prefix + UUID.randomUUID()
        try {
            generate(alias, protections)
            val (key, point) = entry(alias) ?: throw KeyFaultException.Missing()
            val place = protectionOf(key)
            check(place in protections) {
                "this device keeps its keys in $place, and the client takes ${protections.joinToString()}"
            }
            CreatedKey(jwk(point), "ES256", place)
        } catch (failure: Throwable) {
            keystore().deleteEntry(alias)
            throw failure
        }
    }

    /** In StrongBox if that is permitted and there, else wherever the device keeps its keys. */
    private fun generate(alias: String, protections: List<Protection>) {
        val others = protections.any { it != Protection.STRONG_BOX }
        if (Protection.STRONG_BOX in protections && sdk >= Build.VERSION_CODES.P) {
            try {
                return generate(alias, strongBox = true)
            } catch (unavailable: StrongBoxUnavailableException) {
                if (!others) throw unavailable
                onFallback("this device has no StrongBox for the key: ${unavailable.message ?: "unavailable"}")
            }
        }
        generate(alias, strongBox = false)
    }

    private fun generate(alias: String, strongBox: Boolean) {
        val spec = KeyGenParameterSpec.Builder(alias, KeyProperties.PURPOSE_SIGN)
            .setAlgorithmParameterSpec(ECGenParameterSpec("secp256r1"))
            .setDigests(KeyProperties.DIGEST_SHA256)
        if (sdk >= Build.VERSION_CODES.P) spec.setIsStrongBoxBacked(strongBox).setUnlockedDeviceRequired(requireUnlocked)
        val generator = KeyPairGenerator.getInstance(KeyProperties.KEY_ALGORITHM_EC, PROVIDER)
        generator.initialize(spec.build())
        generator.generateKeyPair()
    }

    override suspend fun sign(request: SigningRequest): Signature = io {
        mapped {
            val key = find(request.thumbprint) ?: throw KeyFaultException.Missing()
            val signer = java.security.Signature.getInstance("SHA256withECDSA")
            signer.initSign(key)
            signer.update(request.message)
            Signature(signer.sign(), SignatureEncoding.DER)
        }
    }

    override suspend fun deleteKey(thumbprint: String): Unit = io {
        aliases().filter { entryThumbprint(it) == thumbprint }.forEach(keystore()::deleteEntry)
    }

    /** Deletes all keys of the account, for example when it is removed from the device. Its sessions need new logins then. */
    public suspend fun deleteAll(): Unit = io { aliases().forEach(keystore()::deleteEntry) }

    private fun find(thumbprint: String): PrivateKey? =
        aliases().firstOrNull { entryThumbprint(it) == thumbprint }?.let { keystore().getKey(it, null) as? PrivateKey }

    private fun aliases(): List<String> = keystore().aliases().toList().filter { it.startsWith(prefix) }

    private fun entryThumbprint(alias: String): String? =
        (keystore().getCertificate(alias)?.publicKey as? ECPublicKey)?.let { thumbprint(jwk(it)) }

    private fun entry(alias: String): Pair<PrivateKey, PublicKey>? {
        val key = keystore().getKey(alias, null) as? PrivateKey ?: return null
        return key to (keystore().getCertificate(alias)?.publicKey ?: return null)
    }

    /** Where a key is, as the device says. */
    private fun protectionOf(key: PrivateKey): Protection {
        val info = KeyFactory.getInstance(key.algorithm, PROVIDER).getKeySpec(key, KeyInfo::class.java)
        if (sdk >= Build.VERSION_CODES.S) {
            return when (info.securityLevel) {
                KeyProperties.SECURITY_LEVEL_STRONGBOX -> Protection.STRONG_BOX
                KeyProperties.SECURITY_LEVEL_TRUSTED_ENVIRONMENT, KeyProperties.SECURITY_LEVEL_UNKNOWN_SECURE -> Protection.TEE
                else -> Protection.OS_STORE
            }
        }
        @Suppress("DEPRECATION")
        return if (info.isInsideSecureHardware) Protection.TEE else Protection.OS_STORE
    }

    private suspend fun <T> io(work: () -> T): T = withContext(Dispatchers.IO) { work() }

    private companion object {
        fun keystore(): KeyStore = KeyStore.getInstance(PROVIDER).apply { load(null) }

        fun jwk(key: PublicKey): String {
            val point = (key as ECPublicKey).w
            return """{"kty":"EC","crv":"P-256","x":"${coordinate(point.affineX)}","y":"${coordinate(point.affineY)}"}"""
        }

        fun coordinate(value: BigInteger): String {
            val bytes = value.toByteArray().takeLast(32).toByteArray()
            return Base64.getUrlEncoder().withoutPadding().encodeToString(ByteArray(32 - bytes.size) + bytes)
        }
    }
}
