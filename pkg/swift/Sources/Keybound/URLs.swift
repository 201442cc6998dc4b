import Foundation

// `URL` where Foundation's APIs have one. The core takes texts, and proves a request's path as it is written there.

extension KeyboundClient {
    /// Finds out what protects `url`, from its answer to a request without a token.
    ///
    /// - Parameter issuer: the authorization server's identifier, for a resource that publishes none; one that is published goes before.
    public func discover(_ url: URL, issuer: String? = nil) async throws(ClientError) -> Discovered {
        try await discover(url.absoluteString, issuer: issuer)
    }

    /// Completes a login with the URL that the browser came back to: what `onOpenURL` and universal links give.
    public func exchange(callback: URL) async throws(ClientError) -> Session {
        try await exchange(callback: callback.absoluteString)
    }
}

extension Authorization {
    /// The page to open in the user's browser: ``url`` as Foundation's type.
    public var page: URL? { URL(string: url) }
}

extension DevicePrompt {
    /// The page to open on the other device: with the code in it where the server gives such a URL.
    public var page: URL? { URL(string: verificationUriComplete ?? verificationUri) }
}
