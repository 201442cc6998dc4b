#if canImport(AuthenticationServices) && !os(watchOS) && !os(tvOS)
import AuthenticationServices
import Foundation

/// Brings the user to a login in the system's browser window, and gives what it comes back with to `KeyboundClient.exchange`.
@available(iOS 15, macOS 12, visionOS 1, *)
@MainActor
public final class WebLogin: NSObject, ASWebAuthenticationPresentationContextProviding {
    private let anchor: ASPresentationAnchor
    private var running: Running?

    /// A login that is shown.
    private struct Running {
        let number: UUID
        let session: ASWebAuthenticationSession
        let continuation: CheckedContinuation<String, any Error>
    }

    /// - Parameter anchor: the window that the login appears over.
    public init(anchor: ASPresentationAnchor) {
        self.anchor = anchor
    }

    /// Shows the login and waits for its end. A login that this object shows already ends, as does one whose task is cancelled.
    ///
    /// - Parameters:
    ///   - authorization: of `KeyboundClient.authorize`.
    ///   - callbackScheme: the scheme of the client's redirect URI, for example `com.example.app`.
    ///   - isEphemeral: whether the browser forgets the login, so that the user is asked each time.
    /// - Returns: the URL that the browser came back to, for `KeyboundClient.exchange(callback:)`.
    /// - Throws: `ASWebAuthenticationSessionError`, for example when the user cancelled; ``WebLoginNotShown``; `CancellationError`.
    public func open(_ authorization: Authorization, callbackScheme: String, isEphemeral: Bool = false) async throws -> String {
        guard let url = authorization.page else { throw URLError(.badURL) }
        try Task.checkCancellation()
        if let earlier = running { end(earlier.number, .failure(CancellationError())) }
        let number = UUID()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let session = ASWebAuthenticationSession(url: url, callbackURLScheme: callbackScheme) { @Sendable callback, error in
                    // The system calls back on whichever queue it likes.
                    let result: Result<String, any Error> =
                        callback.map { .success($0.absoluteString) } ?? .failure(error ?? URLError(.cancelled))
                    Task { @MainActor in self.end(number, result) }
                }
                session.presentationContextProvider = self
                session.prefersEphemeralWebBrowserSession = isEphemeral
                running = Running(number: number, session: session, continuation: continuation)
                if !session.start() { end(number, .failure(WebLoginNotShown())) }
                // Cancelled before there was anything to end.
                if Task.isCancelled { end(number, .failure(CancellationError())) }
            }
        } onCancel: {
            Task { @MainActor in self.end(number, .failure(CancellationError())) }
        }
    }

    /// Ends a login once: the system may say that it is over, its task may be cancelled, or it may never have begun.
    private func end(_ number: UUID, _ result: Result<String, any Error>) {
        guard let login = running, login.number == number else { return }
        running = nil
        if case .failure = result { login.session.cancel() }
        login.continuation.resume(with: result)
    }

    public func presentationAnchor(for session: ASWebAuthenticationSession) -> ASPresentationAnchor {
        anchor
    }
}

/// The system cannot show a login now, for example because the app is not in front.
public struct WebLoginNotShown: LocalizedError, Sendable {
    public var errorDescription: String? { "the system cannot show a login now; try it while the app is in front" }
}
#endif
