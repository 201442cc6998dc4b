import Foundation

/// Who called: what the access token says.
public struct TestCaller: Sendable {
    /// The user (`sub`).
    public let subject: String?
    /// The client that the token was issued to.
    public let clientId: String?
    /// What it permits.
    public let scopes: [String]
    /// The thumbprint of the key that it is bound to.
    public let boundTo: String?

    init(_ caller: Caller) {
        subject = caller.subject
        clientId = caller.clientId
        scopes = caller.scopes
        boundTo = caller.boundTo
    }
}

/// An answer of the API of a ``TestIssuer``.
public struct TestResponse: Sendable {
    /// The HTTP status.
    public let status: Int
    /// The body.
    public let body: Data
    /// What the body is.
    public let contentType: String

    /// An answer with this text.
    public init(_ text: String, status: Int = 200, contentType: String = "application/json") {
        self.init(Data(text.utf8), status: status, contentType: contentType)
    }

    /// An answer with this body.
    public init(_ body: Data, status: Int = 200, contentType: String = "application/json") {
        (self.status, self.body, self.contentType) = (status, body, contentType)
    }
}
