#if canImport(Security)
import Foundation
import Security

/// Where in the Keychain an account's keys and sessions are, and when they can be read.
public struct KeychainPlace: Sendable {
    /// When an item can be read. None of them leaves the device, not even in a backup.
    public enum Accessibility: Sendable {
        /// While the device is unlocked.
        case whenUnlocked
        /// Once it was unlocked after a start: for apps that work in the background.
        case afterFirstUnlock
        /// While it is unlocked, and only if it has a passcode.
        case whenPasscodeSet

        var attribute: CFString {
            switch self {
            case .whenUnlocked: kSecAttrAccessibleWhenUnlockedThisDeviceOnly
            case .afterFirstUnlock: kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
            case .whenPasscodeSet: kSecAttrAccessibleWhenPasscodeSetThisDeviceOnly
            }
        }
    }

    /// Whose items they are: one name for each account of the app.
    public let account: String
    /// The access group that apps and extensions of one team share; the app's own without.
    public let accessGroup: String?
    public let accessibility: Accessibility

    public init(account: String, accessGroup: String? = nil, accessibility: Accessibility = .afterFirstUnlock) {
        self.account = account
        self.accessGroup = accessGroup
        self.accessibility = accessibility
    }

    /// A query for items of one class here.
    func query(_ itemClass: CFString, _ more: [CFString: Any]) -> [String: Any] {
        var query: [String: Any] = [kSecClass as String: itemClass, kSecUseDataProtectionKeychain as String: true]
        if let accessGroup { query[kSecAttrAccessGroup as String] = accessGroup }
        for (name, value) in more { query[name as String] = value }
        return query
    }
}

extension KeychainPlace {
    /// What is known of all items that fit a query, without what they hold.
    func attributes(of query: [String: Any]) throws -> [[String: Any]] {
        let wanted: [String: Any] = [kSecReturnAttributes as String: true, kSecMatchLimit as String: kSecMatchLimitAll]
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query.merging(wanted) { $1 } as CFDictionary, &found)
        if status == errSecItemNotFound { return [] }
        guard status == errSecSuccess, let items = found as? [[String: Any]] else { throw KeychainError(status: status) }
        return items
    }
}

/// The Keychain refused.
public struct KeychainError: LocalizedError, CustomStringConvertible, Sendable {
    /// What the Keychain answered, for example `errSecInteractionNotAllowed`.
    public let status: OSStatus

    public var description: String { "the Keychain answered \(status): \(SecCopyErrorMessageString(status, nil).map { "\($0)" } ?? "unknown")" }
    public var errorDescription: String? { description }

    /// What it means for a key.
    var fault: KeyFault {
        switch status {
        case errSecItemNotFound: .missing
        case errSecDecode, errSecInvalidKeyRef: .changed
        // Locked, cancelled by the user, not permitted now: the key is there.
        default: .unreadable(description)
        }
    }
}
#endif
