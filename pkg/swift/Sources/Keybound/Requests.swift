import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

extension URLRequest {
    /// Adds a proof by a key in this process, and the access token that goes with it (RFC 9449 section 7.1).
    ///
    /// Set method and URL before. A request is proved once: make the proof anew for each attempt.
    ///
    /// - Throws: misuse, if the request cannot be proved.
    public mutating func prove(
        by key: Key, accessToken: String? = nil, nonce: String? = nil, now: Int64? = nil
    ) throws(KeyboundError) {
        let url = try provable()
        let made = try proof(
            method: httpMethod ?? "GET", url: url, key: key, accessToken: accessToken, nonce: nonce, now: now)
        carry(made, accessToken)
    }

    /// The same by a signer outside of this library.
    ///
    /// - Throws: ``KeyboundError``, and what the signer throws.
    public mutating func prove(
        by signer: any ProofSigner, accessToken: String? = nil, nonce: String? = nil, now: Int64? = nil
    ) async throws {
        let url = try provable()
        let made = try await proof(
            method: httpMethod ?? "GET", url: url, signer: signer, accessToken: accessToken, nonce: nonce, now: now)
        carry(made, accessToken)
    }

    /// The URL as it is written: nothing is decoded and encoded again.
    private func provable() throws(KeyboundError) -> String {
        guard let url else {
            throw .misuse(fault: Fault(reason: "missing_option", detail: "a request without a URL cannot be proved; set it first"))
        }
        return url.absoluteString
    }

    private mutating func carry(_ proof: String, _ accessToken: String?) {
        setValue(proof, forHTTPHeaderField: "DPoP")
        if let accessToken { setValue("DPoP \(accessToken)", forHTTPHeaderField: "Authorization") }
    }
}
