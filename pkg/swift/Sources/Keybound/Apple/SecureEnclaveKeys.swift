#if canImport(Security)
import CryptoKit
import Foundation
import Security

/// Keys in the Secure Enclave, which never leave it; in the Keychain where there is no Secure Enclave and the client permits that. A Secure
/// Enclave that makes no key now, because the device is locked or the user said no, is an error and no reason for a lesser key.
///
/// They sign ES256 and give DER. Each is found by its thumbprint, below the account's name.
public actor SecureEnclaveKeys: SweptKeyStore {
    private let place: KeychainPlace
    private let flags: SecAccessControlCreateFlags
    private let onFallback: (@Sendable (String) -> Void)?

    /// - Parameters:
    ///   - place: whose keys they are, and when they can be used.
    ///   - flags: what else is asked of the user for each signature, for example `.biometryCurrentSet`. Proofs are signed for each request,
    ///     so this suits few apps.
    ///   - onFallback: is told why a key had to be made outside of the Secure Enclave. `SessionInfo.protection` then says `osStore`.
    public init(
        place: KeychainPlace, flags: SecAccessControlCreateFlags = [], onFallback: (@Sendable (_ reason: String) -> Void)? = nil
    ) {
        self.place = place
        self.flags = flags
        self.onFallback = onFallback
    }

    public func createKey(algorithms: [String], protections: [Protection]) throws -> CreatedKey {
        try created(algorithms, protections, mark: nil)
    }

    public func createKey(algorithms: [String], protections: [Protection], owner: String) throws -> CreatedKey {
        // The time is in the mark: not every Keychain tells when a key was made.
        try created(algorithms, protections, mark: "\(Int64(Date().timeIntervalSince1970)) \(owner)")
    }

    public func made(owner: String) throws -> [MadeKey] {
        let all = place.query(kSecClassKey, [kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom])
        return try place.attributes(of: all).compactMap { item in
            guard let tag = item[kSecAttrApplicationTag as String] as? Data, let mark = item[kSecAttrLabel as String] as? String else { return nil }
            let (text, parts) = (String(decoding: tag, as: UTF8.self), mark.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false))
            guard text.hasPrefix(prefix), parts.count == 2, parts[1] == owner, let time = Int64(parts[0]) else { return nil }
            return MadeKey(thumbprint: String(text.dropFirst(prefix.count)), createdAt: time)
        }
    }

    private func created(_ algorithms: [String], _ protections: [Protection], mark: String?) throws -> CreatedKey {
        guard algorithms.contains("ES256") else {
            throw NoSuchKey(description: "the Secure Enclave signs ES256, and the server takes \(algorithms.joined(separator: ", "))")
        }
        var refused = "the client does not take keys of the Secure Enclave"
        if protections.contains(.secureEnclave) {
            if SecureEnclave.isAvailable { return try made(.secureEnclave, mark) }
            refused = "this device has no Secure Enclave"
        }
        guard protections.contains(.osStore) else { throw NoSuchKey(description: refused) }
        let key = try made(.osStore, mark)
        onFallback?(refused)
        return key
    }

    public func sign(_ request: SigningRequest) throws -> Signature {
        let key = try found(request.thumbprint)
        guard try thumbprint(of: Self.publicJwk(of: key)) == request.thumbprint else { throw KeyFault.changed }
        var error: Unmanaged<CFError>?
        let algorithm = SecKeyAlgorithm.ecdsaSignatureMessageX962SHA256
        guard let signature = SecKeyCreateSignature(key, algorithm, request.message as CFData, &error) else {
            throw Self.fault(of: error)
        }
        return Signature(bytes: signature as Data, encoding: .der)
    }

    public func deleteKey(thumbprint: String) throws {
        let status = SecItemDelete(query(thumbprint) as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw KeychainError(status: status) }
    }

    private func made(_ protection: Protection, _ mark: String?) throws -> CreatedKey {
        var error: Unmanaged<CFError>?
        let wanted: SecAccessControlCreateFlags = protection == .secureEnclave ? flags.union(.privateKeyUsage) : flags
        guard let access = SecAccessControlCreateWithFlags(nil, place.accessibility.attribute, wanted, &error) else {
            throw Self.fault(of: error)
        }
        var attributes: [String: Any] = [
            kSecAttrKeyType as String: kSecAttrKeyTypeECSECPrimeRandom, kSecAttrKeySizeInBits as String: 256,
            kSecPrivateKeyAttrs as String: [kSecAttrIsPermanent as String: false, kSecAttrAccessControl as String: access] as [String: Any],
        ]
        if protection == .secureEnclave { attributes[kSecAttrTokenID as String] = kSecAttrTokenIDSecureEnclave }
        guard let key = SecKeyCreateRandomKey(attributes as CFDictionary, &error) else { throw Self.fault(of: error) }
        let publicJwk = try Self.publicJwk(of: key)
        var item = query(try thumbprint(of: publicJwk))
        item[kSecValueRef as String] = key
        item[kSecAttrAccessControl as String] = access
        if let mark { item[kSecAttrLabel as String] = mark }
        let status = SecItemAdd(item as CFDictionary, nil)
        guard status == errSecSuccess else { throw KeychainError(status: status) }
        return CreatedKey(publicJwk: publicJwk, algorithm: "ES256", protection: protection)
    }

    private func found(_ thumbprint: String) throws -> SecKey {
        var item: CFTypeRef?
        var query = query(thumbprint)
        query[kSecReturnRef as String] = true
        let status = SecItemCopyMatching(query as CFDictionary, &item)
        guard status == errSecSuccess, let item else { throw KeychainError(status: status).fault }
        return item as! SecKey  // swiftlint:disable:this force_cast: a query for keys gives keys
    }

    /// What the tags of this account's keys begin with.
    private var prefix: String { "dev.keybound.\(place.account)." }

    private func query(_ thumbprint: String) -> [String: Any] {
        let tag = Data("\(prefix)\(thumbprint)".utf8)
        return place.query(kSecClassKey, [kSecAttrApplicationTag: tag, kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom])
    }

    /// The public part: the point is 04, x and y.
    private static func publicJwk(of key: SecKey) throws -> String {
        var error: Unmanaged<CFError>?
        guard let publicKey = SecKeyCopyPublicKey(key), let point = SecKeyCopyExternalRepresentation(publicKey, &error) as Data?,
            point.count == 65
        else { throw fault(of: error) }
        func coordinate(_ bytes: Data) -> String {
            bytes.base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
                .replacingOccurrences(of: "=", with: "")
        }
        return #"{"kty":"EC","crv":"P-256","x":"\#(coordinate(point[1..<33]))","y":"\#(coordinate(point[33..<65]))"}"#
    }

    /// Why Security refused: `missing`, `changed` and `unreadable` are told apart by its status.
    private static func fault(of error: Unmanaged<CFError>?) -> KeyFault {
        guard let error = error?.takeRetainedValue() else { return .unreadable("Security gave no reason") }
        let status = OSStatus(truncatingIfNeeded: CFErrorGetCode(error))
        return KeychainError(status: status).fault
    }
}
#endif
