#if canImport(AuthenticationServices) && !os(watchOS) && !os(tvOS)
import AuthenticationServices
import Foundation

/// Brings the user to a login in the system's browser window, and gives what it comes back with to `KeyboundClient.exchange`.
@available(iOS 15, macOS 12, visionOS 1, *)
@MainActor
public final class WebLogin: NSObject, ASWebAuthenticationPresentationContextProviding {
    private let anchor: ASPresentationAnchor
    private var running: ASWebAuthenticationSession?

    /// - Parameter anchor: the window that the login appears over.
    public init(anchor: ASPresentationAnchor) {
        self.anchor = anchor
    }

    /// Shows the login and waits for its end.
    ///
    /// - Parameters:
    ///   - authorization: of `KeyboundClient.authorize`.
    ///   - callbackScheme: the scheme of the client's redirect URI, for example `com.example.app`.
    ///   - isEphemeral: whether the browser forgets the login, so that the user is asked each time.
    /// - Returns: the URL that the browser came back to, for `KeyboundClient.exchange(callback:)`.
    /// - Throws: `ASWebAuthenticationSessionError`, for example when the user cancelled.
    public func open(_ authorization: Authorization, callbackScheme: String, isEphemeral: Bool = false) async throws -> String {
        guard let url = URL(string: authorization.url) else { throw URLError(.badURL) }
        return try await withCheckedThrowingContinuation { continuation in
            let session = ASWebAuthenticationSession(url: url, callbackURLScheme: callbackScheme) { @Sendable callback, error in
                if let callback {
                    continuation.resume(returning: callback.absoluteString)
                } else {
                    continuation.resume(throwing: error ?? URLError(.cancelled))
                }
            }
            session.presentationContextProvider = self
            session.prefersEphemeralWebBrowserSession = isEphemeral
            running = session
            // The system calls back from a queue of its own, and says there too if nothing can be shown.
            session.start()
        }
    }

    public func presentationAnchor(for session: ASWebAuthenticationSession) -> ASPresentationAnchor {
        anchor
    }
}
#endif
