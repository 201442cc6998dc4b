import Foundation

extension KeyboundError {
    /// What is known of the error, whatever its case.
    public var fault: Fault {
        switch self {
        case .rejected(let fault), .misuse(let fault), .loginRequired(let fault), .flow(let fault), .host(let fault): fault
        }
    }

    /// The error's stable name, for programs, for example `replayed`.
    public var reason: String { fault.reason }
}

extension KeyboundError: LocalizedError, CustomStringConvertible {
    /// What was wrong and what to do. It holds no secret.
    public var errorDescription: String? { fault.detail }

    public var description: String { "\(fault.reason): \(fault.detail)" }
}

/// Why a ``KeyboundClient`` has no result.
public enum ClientError: Error, Sendable {
    /// The flow ended: see the error's cases, above all `loginRequired`.
    case keybound(KeyboundError)
    /// The network failed; the request can be tried again.
    case network(URLError)
    /// A ``ProofKeyStore`` or ``SessionStore`` threw this.
    case store(any Error)
    /// The task was cancelled.
    case cancelled

    /// Whether only a new login helps: the session ended, or its key is lost or another one.
    public var isLoginRequired: Bool {
        if case .keybound(.loginRequired) = self { true } else { false }
    }

    /// The error of the flow, if that is what it is.
    public var keybound: KeyboundError? {
        if case .keybound(let error) = self { error } else { nil }
    }
}

extension ClientError: LocalizedError {
    /// What was wrong and what to do. It holds no secret.
    public var errorDescription: String? {
        switch self {
        case .keybound(let error): error.errorDescription
        case .network(let error): error.localizedDescription
        case .store(let error): (error as? any LocalizedError)?.errorDescription ?? String(describing: error)
        case .cancelled: "the task was cancelled"
        }
    }
}
