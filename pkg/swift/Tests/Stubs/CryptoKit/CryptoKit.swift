// Apple's CryptoKit as far as this package uses it (see Security.swift).

import Security

public enum SecureEnclave {
    public static var isAvailable: Bool { Device.current.hasSecureEnclave }
}
