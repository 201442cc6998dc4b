// The declarations of Apple's Security that this package uses, without their work: they let a compiler on Linux check the files for
// Apple's systems. Types of CoreFoundation are those that Swift bridges them to.

@_exported import Foundation

public typealias CFString = String
public typealias CFData = Data
public typealias CFDictionary = [String: Any]
public typealias CFTypeRef = AnyObject
public typealias CFAllocator = AnyObject
public typealias CFIndex = Int
public typealias OSStatus = Int32

public final class CFError: Error {}
public func CFErrorGetCode(_ error: CFError) -> CFIndex { 0 }

public final class SecKey {}
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

public let kSecClass = "", kSecClassKey = "", kSecClassGenericPassword = "", kSecUseDataProtectionKeychain = ""
public let kSecAttrAccessGroup = "", kSecAttrAccessible = "", kSecAttrAccessControl = "", kSecAttrAccount = "", kSecAttrService = ""
public let kSecAttrApplicationTag = "", kSecAttrKeyType = "", kSecAttrKeyTypeECSECPrimeRandom = "", kSecAttrKeySizeInBits = ""
public let kSecAttrTokenID = "", kSecAttrTokenIDSecureEnclave = "", kSecAttrIsPermanent = "", kSecPrivateKeyAttrs = ""
public let kSecReturnRef = "", kSecReturnData = "", kSecValueRef = "", kSecValueData = ""
public let kSecAttrAccessibleWhenUnlockedThisDeviceOnly = "", kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly = ""
public let kSecAttrAccessibleWhenPasscodeSetThisDeviceOnly = ""
public let errSecSuccess: OSStatus = 0, errSecItemNotFound: OSStatus = -25300, errSecDecode: OSStatus = -26275
public let errSecInvalidKeyRef: OSStatus = -67712

public func SecCopyErrorMessageString(_ status: OSStatus, _ reserved: UnsafeMutableRawPointer?) -> CFString? { nil }
public func SecItemAdd(_ attributes: CFDictionary, _ result: UnsafeMutablePointer<CFTypeRef?>?) -> OSStatus { 0 }
public func SecItemUpdate(_ query: CFDictionary, _ attributesToUpdate: CFDictionary) -> OSStatus { 0 }
public func SecItemDelete(_ query: CFDictionary) -> OSStatus { 0 }
public func SecItemCopyMatching(_ query: CFDictionary, _ result: UnsafeMutablePointer<CFTypeRef?>?) -> OSStatus { 0 }
public func SecAccessControlCreateWithFlags(
    _ allocator: CFAllocator?, _ protection: CFTypeRef, _ flags: SecAccessControlCreateFlags,
    _ error: UnsafeMutablePointer<Unmanaged<CFError>?>?
) -> SecAccessControl? { nil }
public func SecAccessControlCreateWithFlags(
    _ allocator: CFAllocator?, _ protection: CFString, _ flags: SecAccessControlCreateFlags,
    _ error: UnsafeMutablePointer<Unmanaged<CFError>?>?
) -> SecAccessControl? { nil }
public func SecKeyCreateRandomKey(_ parameters: CFDictionary, _ error: UnsafeMutablePointer<Unmanaged<CFError>?>?) -> SecKey? { nil }
public func SecKeyCopyPublicKey(_ key: SecKey) -> SecKey? { nil }
public func SecKeyCopyExternalRepresentation(_ key: SecKey, _ error: UnsafeMutablePointer<Unmanaged<CFError>?>?) -> CFData? { nil }
public func SecKeyCreateSignature(
    _ key: SecKey, _ algorithm: SecKeyAlgorithm, _ dataToSign: CFData, _ error: UnsafeMutablePointer<Unmanaged<CFError>?>?
) -> CFData? { nil }
