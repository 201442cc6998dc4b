package dev.keybound

import java.util.concurrent.ConcurrentHashMap

/** A private key outside of this library: in a device, an HSM, or a `java.security.KeyStore`. */
public interface ProofSigner {
    /** Its public part: a JWK (RFC 7517). */
    public val publicJwk: String

    /** What it signs with, as JOSE names it. */
    public val algorithm: String

    /** Where it lives. */
    public val protection: Protection

    /**
     * Signs the message of the request, or its digest, and says how the signature is written: what `java.security.Signature` gives is
     * [SignatureEncoding.DER].
     *
     * @throws KeyFaultException where the key cannot be used
     */
    public suspend fun sign(request: SigningRequest): EncodedSignature
}

/**
 * Keys that a function of the caller's makes: for an HSM, a key service, or a token of your own.
 *
 * The signers live as long as this object. For keys that outlive the process, write a [ProofKeyStore].
 *
 * @param create makes a key for one of the algorithms, in one of the places
 */
public class SignerKeys(
    private val create: suspend (algorithms: List<String>, protections: List<Protection>) -> ProofSigner,
) : ProofKeyStore {
    /** The same for Java, on a thread that may wait. */
    public constructor(factory: SignerFactory) : this({ algorithms, protections -> blocking { factory.create(algorithms, protections) } })

    private val signers = ConcurrentHashMap<String, ProofSigner>()

    /**
     * Keeps a signer, for example that of the key a client authenticates with. Gives its thumbprint.
     *
     * @throws KeyboundException.Misuse if its public key cannot be used
     */
    @Throws(KeyboundException::class)
    public fun add(signer: ProofSigner): String = thumbprint(signer.publicJwk).also { signers[it] = signer }

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>): CreatedKey {
        val signer = create(algorithms, protections)
        add(signer)
        return CreatedKey(signer.publicJwk, signer.algorithm, signer.protection)
    }

    override suspend fun sign(request: SigningRequest): EncodedSignature =
        (signers[request.thumbprint] ?: throw KeyFaultException.Missing()).sign(request)

    override suspend fun deleteKey(thumbprint: String) {
        signers.remove(thumbprint)
    }
}

/**
 * A proof by a signer outside of this library.
 *
 * @throws KeyboundException.Misuse if the request cannot be proved, or the signature does not fit
 */
public suspend fun proof(
    method: String,
    url: String,
    signer: ProofSigner,
    accessToken: String? = null,
    nonce: String? = null,
    now: Long? = null,
): String {
    unsigned(signer, method, url, accessToken, nonce, now).use { return it.attach(signer.sign(request(signer, it))) }
}

internal fun unsigned(signer: ProofSigner, method: String, url: String, accessToken: String?, nonce: String?, now: Long?): UnsignedProof =
    prepare(method, url, signer.publicJwk, signer.algorithm, accessToken, nonce, now)

/** What a signer is asked for. */
internal fun request(signer: ProofSigner, unsigned: UnsignedProof): SigningRequest =
    SigningRequest(thumbprint(signer.publicJwk), KeyPurpose.PROOF, signer.algorithm, unsigned.message(), unsigned.digest())
