// Apple's Security as far as this package uses it, with a Keychain in memory: a compiler on Linux checks the files for Apple's systems by it, and
// tests run them. Types of CoreFoundation are those that Swift bridges them to.

@_exported import Foundation

public typealias CFString = String
public typealias CFData = Data
public typealias CFDictionary = [String: Any]
public typealias CFTypeRef = AnyObject
public typealias CFAllocator = AnyObject
public typealias CFIndex = Int
public typealias OSStatus = Int32

/// What the device does, and what is in its Keychain. Tests set it.
public final class Device: @unchecked Sendable {
    public typealias KeyPair = (point: Data, sign: @Sendable (Data) -> Data)

    public static let current = Device()
    public var items: [[String: Any]] = []
    public var hasSecureEnclave = true
    /// What reading an item answers, for example on a locked device.
    public var reading: OSStatus = 0
    /// What making a key answers.
    public var making: OSStatus = 0
    /// Makes a key pair on P-256: its point, and what signs in DER.
    public var keyPair: (@Sendable () -> KeyPair)?

    public func reset() {
        (items, hasSecureEnclave, reading, making, keyPair) = ([], true, 0, 0, nil)
    }
}

public final class CFError: Error, Sendable {
    let code: CFIndex
    init(_ status: OSStatus) { code = CFIndex(status) }
}
public func CFErrorGetCode(_ error: CFError) -> CFIndex { error.code }

public final class SecKey {
    let pair: Device.KeyPair
    init(_ pair: Device.KeyPair) { self.pair = pair }
}
public final class SecAccessControl {}

public struct SecAccessControlCreateFlags: OptionSet, Sendable {
    public let rawValue: UInt
    public init(rawValue: UInt) { self.rawValue = rawValue }
    public static let privateKeyUsage = SecAccessControlCreateFlags(rawValue: 1 << 30)
    public static let biometryCurrentSet = SecAccessControlCreateFlags(rawValue: 1 << 3)
}

public struct SecKeyAlgorithm: Sendable {
    public static let ecdsaSignatureMessageX962SHA256 = SecKeyAlgorithm()
}

public let kSecClass = "class", kSecClassKey = "keys", kSecClassGenericPassword = "genp", kSecUseDataProtectionKeychain = "nleg"
public let kSecAttrAccessGroup = "agrp", kSecAttrAccessible = "pdmn", kSecAttrAccessControl = "accc", kSecAttrAccount = "acct"
public let kSecAttrService = "svce", kSecAttrApplicationTag = "atag", kSecAttrKeyType = "type", kSecAttrKeyTypeECSECPrimeRandom = "73"
public let kSecAttrKeySizeInBits = "bsiz", kSecAttrTokenID = "tkid", kSecAttrTokenIDSecureEnclave = "com.apple.setoken"
public let kSecAttrIsPermanent = "perm", kSecPrivateKeyAttrs = "private", kSecAttrLabel = "labl"
public let kSecReturnRef = "r_Ref", kSecReturnData = "r_Data", kSecReturnAttributes = "r_Attributes"
public let kSecMatchLimit = "m_Limit", kSecMatchLimitAll = "m_LimitAll", kSecValueRef = "v_Ref", kSecValueData = "v_Data"
public let kSecAttrAccessibleWhenUnlockedThisDeviceOnly = "aku", kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly = "cku"
public let kSecAttrAccessibleWhenPasscodeSetThisDeviceOnly = "akpu"
public let errSecSuccess: OSStatus = 0, errSecItemNotFound: OSStatus = -25300, errSecDecode: OSStatus = -26275
public let errSecInvalidKeyRef: OSStatus = -67712, errSecDuplicateItem: OSStatus = -25299
public let errSecInteractionNotAllowed: OSStatus = -25308, errSecUserCanceled: OSStatus = -128

/// What an item is found by. The rest of a query says what is wanted of it.
private let named = [kSecClass, kSecAttrAccessGroup, kSecAttrAccount, kSecAttrService, kSecAttrApplicationTag]

private func fits(_ item: [String: Any], _ query: [String: Any]) -> Bool {
    named.allSatisfy { query[$0] == nil || query[$0] as? AnyHashable == item[$0] as? AnyHashable }
}

public func SecCopyErrorMessageString(_ status: OSStatus, _ reserved: UnsafeMutableRawPointer?) -> CFString? { nil }

public func SecItemAdd(_ attributes: CFDictionary, _ result: UnsafeMutablePointer<CFTypeRef?>?) -> OSStatus {
    guard !Device.current.items.contains(where: { fits($0, attributes) }) else { return errSecDuplicateItem }
    Device.current.items.append(attributes)
    return errSecSuccess
}

public func SecItemUpdate(_ query: CFDictionary, _ attributesToUpdate: CFDictionary) -> OSStatus {
    let found = Device.current.items.indices.filter { fits(Device.current.items[$0], query) }
    for index in found { Device.current.items[index].merge(attributesToUpdate) { $1 } }
    return found.isEmpty ? errSecItemNotFound : errSecSuccess
}

public func SecItemDelete(_ query: CFDictionary) -> OSStatus {
    let before = Device.current.items.count
    Device.current.items.removeAll { fits($0, query) }
    return Device.current.items.count == before ? errSecItemNotFound : errSecSuccess
}

public func SecItemCopyMatching(_ query: CFDictionary, _ result: UnsafeMutablePointer<CFTypeRef?>?) -> OSStatus {
    let found = Device.current.items.filter { fits($0, query) }
    guard let first = found.first else { return errSecItemNotFound }
    guard Device.current.reading == errSecSuccess else { return Device.current.reading }
    if query[kSecReturnAttributes] != nil {
        result?.pointee = found.map { $0.filter { $0.key != kSecValueData } } as AnyObject
    } else {
        result?.pointee = (query[kSecReturnRef] != nil ? first[kSecValueRef] : first[kSecValueData]) as AnyObject
    }
    return errSecSuccess
}

public func SecAccessControlCreateWithFlags(
    _ allocator: CFAllocator?, _ protection: CFString, _ flags: SecAccessControlCreateFlags,
    _ error: UnsafeMutablePointer<Unmanaged<CFError>?>?
) -> SecAccessControl? { SecAccessControl() }

public func SecKeyCreateRandomKey(_ parameters: CFDictionary, _ error: UnsafeMutablePointer<Unmanaged<CFError>?>?) -> SecKey? {
    guard Device.current.making == errSecSuccess, let pair = Device.current.keyPair else {
        error?.pointee = Unmanaged.passRetained(CFError(Device.current.making))
        return nil
    }
    return SecKey(pair())
}

public func SecKeyCopyPublicKey(_ key: SecKey) -> SecKey? { key }

public func SecKeyCopyExternalRepresentation(_ key: SecKey, _ error: UnsafeMutablePointer<Unmanaged<CFError>?>?) -> CFData? {
    key.pair.point
}

public func SecKeyCreateSignature(
    _ key: SecKey, _ algorithm: SecKeyAlgorithm, _ dataToSign: CFData, _ error: UnsafeMutablePointer<Unmanaged<CFError>?>?
) -> CFData? { key.pair.sign(dataToSign) }
