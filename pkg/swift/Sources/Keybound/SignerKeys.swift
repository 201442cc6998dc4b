/// A private key outside of this library: in a device, an HSM, or a key service.
public protocol ProofSigner: Sendable {
    /// Its public part: a JWK (RFC 7517).
    var publicJwk: String { get }
    /// What it signs with, as JOSE names it.
    var algorithm: String { get }
    /// Where it lives.
    var protection: Protection { get }

    /// Signs the message of the request, or its digest, and says how the signature is written: what Security and CryptoKit's
    /// `derRepresentation` give is `der`.
    ///
    /// - Throws: ``KeyFault`` where the key cannot be used.
    func sign(_ request: SigningRequest) async throws -> Signature
}

/// Keys that a function of the caller's makes: for an HSM, a key service, or a token of your own.
///
/// The signers live as long as this object. For keys that outlive the process, write a ``ProofKeyStore``.
public actor SignerKeys: ProofKeyStore {
    private let create: @Sendable ([String], [Protection]) async throws -> any ProofSigner
    private var signers: [String: any ProofSigner] = [:]

    /// - Parameter create: makes a key for one of the algorithms, in one of the places.
    public init(create: @escaping @Sendable (_ algorithms: [String], _ protections: [Protection]) async throws -> any ProofSigner) {
        self.create = create
    }

    /// Keeps a signer, for example that of the key a client authenticates with. Gives its thumbprint.
    @discardableResult
    public func add(_ signer: any ProofSigner) throws(KeyboundError) -> String {
        let thumbprint = try Keybound.thumbprint(of: signer.publicJwk)
        signers[thumbprint] = signer
        return thumbprint
    }

    public func createKey(algorithms: [String], protections: [Protection]) async throws -> CreatedKey {
        let signer = try await create(algorithms, protections)
        try add(signer)
        return CreatedKey(publicJwk: signer.publicJwk, algorithm: signer.algorithm, protection: signer.protection)
    }

    public func sign(_ request: SigningRequest) async throws -> Signature {
        guard let signer = signers[request.thumbprint] else { throw KeyFault.missing }
        return try await signer.sign(request)
    }

    public func deleteKey(thumbprint: String) {
        signers[thumbprint] = nil
    }
}

/// A proof by a signer outside of this library.
///
/// - Throws: ``KeyboundError`` if the request cannot be proved or the signature does not fit; what the signer throws.
public func proof(
    method: String, url: String, signer: any ProofSigner, accessToken: String? = nil, nonce: String? = nil, now: Int64? = nil
) async throws -> String {
    let unsigned = try prepare(
        method: method, url: url, publicJwk: signer.publicJwk, algorithm: signer.algorithm, accessToken: accessToken, nonce: nonce,
        now: now)
    let request = SigningRequest(
        thumbprint: try thumbprint(of: signer.publicJwk), purpose: .proof, algorithm: signer.algorithm,
        message: unsigned.message(), digest: unsigned.digest())
    return try unsigned.attach(try await signer.sign(request))
}
