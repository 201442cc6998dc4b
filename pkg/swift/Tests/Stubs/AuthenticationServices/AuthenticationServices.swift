// Apple's AuthenticationServices as far as this package uses it (see Security.swift): tests are its browser.

@_exported import Foundation

@MainActor open class ASPresentationAnchor: NSObject {}

@MainActor public protocol ASWebAuthenticationPresentationContextProviding: AnyObject {
    func presentationAnchor(for session: ASWebAuthenticationSession) -> ASPresentationAnchor
}

@MainActor public class ASWebAuthenticationSession: NSObject {
    public typealias CompletionHandler = @Sendable (URL?, (any Error)?) -> Void

    /// Whether a login can be shown, and the one that is.
    public static var canShow = true
    public static var shown: ASWebAuthenticationSession?

    public weak var presentationContextProvider: (any ASWebAuthenticationPresentationContextProviding)?
    public var prefersEphemeralWebBrowserSession = false
    /// What the browser comes back with. The system may say so after it was cancelled as well.
    public let completion: CompletionHandler

    public init(url: URL, callbackURLScheme: String?, completionHandler: @escaping CompletionHandler) {
        completion = completionHandler
    }

    @discardableResult public func start() -> Bool {
        if Self.canShow { Self.shown = self }
        return Self.canShow
    }

    public func cancel() {
        if Self.shown === self { Self.shown = nil }
    }
}
