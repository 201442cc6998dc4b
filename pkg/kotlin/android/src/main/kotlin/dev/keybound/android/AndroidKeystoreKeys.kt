package dev.keybound.android

import android.os.Build
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyInfo
import android.security.keystore.KeyProperties
import android.security.keystore.StrongBoxUnavailableException
import dev.keybound.CreatedKey
import dev.keybound.EncodedSignature
import dev.keybound.KeyFaultException
import dev.keybound.MadeKey
import dev.keybound.Protection
import dev.keybound.SignatureEncoding
import dev.keybound.SigningRequest
import dev.keybound.SweptKeyStore
import dev.keybound.thumbprint
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import java.math.BigInteger
import java.security.KeyFactory
import java.security.KeyPairGenerator
import java.security.KeyStore
import java.security.MessageDigest
import java.security.PrivateKey
import java.security.PublicKey
import java.security.Signature
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
 * @param onFallback is told why a key is in a lesser place than the best that the client takes: in StrongBox, then in the trusted environment.
 * `SessionInfo.protection` says where it is
 */
public class AndroidKeystoreKeys internal constructor(
    private val account: String,
    private val requireUnlocked: Boolean,
    private val onFallback: (String) -> Unit,
    private val sdk: Int,
) : SweptKeyStore {
    @JvmOverloads
    public constructor(account: String, requireUnlocked: Boolean = false, onFallback: (reason: String) -> Unit = {}) :
        this(account, requireUnlocked, onFallback, Build.VERSION.SDK_INT)

    private val prefix = "dev.keybound/$account/"

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>): CreatedKey = io { created("", algorithms, protections) }

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>, owner: String): CreatedKey =
        io { created(mark(owner), algorithms, protections) }

    override suspend fun made(owner: String): List<MadeKey> = io {
        val mark = mark(owner)
        aliases().filter { it.startsWith(prefix + mark) }.mapNotNull { alias ->
            val created = keystore().getCreationDate(alias) ?: return@mapNotNull null
            entryThumbprint(alias)?.let { MadeKey(it, created.time / 1000) }
        }
    }

    /** What the aliases of keys for some sessions begin with, after the account: its length is always the same. */
    private fun mark(owner: String): String = MessageDigest.getInstance("SHA-256").digest(owner.encodeToByteArray()).let {
        Base64.getUrlEncoder().withoutPadding().encodeToString(it) + "."
    }

    private fun created(mark: String, algorithms: List<String>, protections: List<Protection>): CreatedKey {
        check("ES256" in algorithms) { "Android's Keystore signs ES256, and the server takes ${algorithms.joinToString()}" }
        val alias = prefix + mark + UUID.randomUUID()
        try {
            val reason = generate(alias, protections)
            val (key, point) = entry(alias) ?: throw KeyFaultException.Missing()
            val place = protectionOf(key)
            check(place in protections) {
                "this device keeps its keys in $place, and the client takes ${protections.joinToString()}"
            }
            val best = BEST_FIRST.first { it in protections }
            if (place != best) onFallback("the key is in $place and not in $best: $reason")
            return CreatedKey(jwk(point), "ES256", place)
        } catch (failure: Throwable) {
            keystore().deleteEntry(alias)
            throw failure
        }
    }

    /** In StrongBox if that is permitted and there, else wherever the device keeps its keys. Gives the reason for a place that is not the best. */
    private fun generate(alias: String, protections: List<Protection>): String {
        val others = protections.any { it != Protection.STRONG_BOX }
        var reason = "the device keeps its keys there"
        if (Protection.STRONG_BOX in protections && sdk >= Build.VERSION_CODES.P) {
            try {
                generate(alias, strongBox = true)
                return reason
            } catch (unavailable: StrongBoxUnavailableException) {
                if (!others) throw unavailable
                reason = "this device has no StrongBox for the key: ${unavailable.message ?: "unavailable"}"
            }
        } else if (Protection.STRONG_BOX in protections) {
            reason = "Android has StrongBox from version 9 on"
        }
        generate(alias, strongBox = false)
        return reason
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

    override suspend fun sign(request: SigningRequest): EncodedSignature = io {
        mapped {
            val key = find(request.thumbprint) ?: throw KeyFaultException.Missing()
            val signer = Signature.getInstance("SHA256withECDSA")
            signer.initSign(key)
            signer.update(request.message)
            EncodedSignature(signer.sign(), SignatureEncoding.DER)
        }
    }

    override suspend fun deleteKey(thumbprint: String): Unit = io {
        aliases().filter { entryThumbprint(it) == thumbprint }.forEach(keystore()::deleteEntry)
    }

    /** Deletes all keys of the account, for example when it is removed from the device. Its sessions need new logins then. */
    public suspend fun deleteAll(): Unit = io { aliases().forEach(keystore()::deleteEntry) }

    private fun find(thumbprint: String): PrivateKey? =
        aliases().firstOrNull { entryThumbprint(it) == thumbprint }?.let { keystore().getKey(it, null) as? PrivateKey }

    /** Those of this account: names of accounts may begin with each other's, and sessions have keys of their own. */
    private fun aliases(): List<String> =
        keystore().aliases().toList().filter { it.startsWith(prefix) && OWN.matches(it.removePrefix(prefix)) }

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
        /** The end of an alias: for whose sessions, if that is known, and a random part. */
        val OWN = Regex("([A-Za-z0-9_-]{43}\\.)?[0-9a-f-]{36}")

        val BEST_FIRST = listOf(Protection.STRONG_BOX, Protection.TEE, Protection.OS_STORE)

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
