import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// An OAuth 2.1 client whose tokens are bound to keys: whoever steals one cannot use it.
///
/// It makes keys and proofs, keeps nonces, repeats what has to be repeated, and renews tokens, once for all tasks and processes that share
/// a store. All state of an account is in its session: there is nothing global, and several accounts have a session each.
public actor KeyboundClient {
    private let core: CoreClient
    private let host: FlowHost
    private let transport: Transport

    /// - Parameters:
    ///   - options: how it behaves.
    ///   - keys: where its keys live.
    ///   - sessions: where its sessions live.
    ///   - configuration: how it connects: proxies, timeouts, protocol classes. It stays as it is; its cookies, cache and stored credentials
    ///     are not used. One for the background is refused: it sends proofs when they are too old.
    ///   - now: the time by which proofs are made, in whole seconds since 1970.
    /// - Throws: misuse, if an option cannot be used.
    public init(
        options: ClientOptions, keys: any ProofKeyStore = SoftwareKeys(), sessions: any SessionStore = MemorySessions(),
        configuration: URLSessionConfiguration = .ephemeral,
        now: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) }
    ) throws(KeyboundError) {
        guard configuration.identifier == nil else {
            let detail =
                "a background session sends requests when their proofs are too old; give KeyboundClient another configuration, "
                + "and prepare transfers in the background by authorized(_:session:refused:)"
            throw .misuse(fault: Fault(reason: "background_session", detail: detail))
        }
        try self.init(
            options: options, keys: keys, sessions: sessions, transport: Transport(configuration: configuration), now: now)
    }

    init(
        options: ClientOptions, keys: any ProofKeyStore, sessions: any SessionStore, transport: Transport,
        now: @escaping @Sendable () -> Int64
    ) throws(KeyboundError) {
        core = try CoreClient(options: options)
        self.transport = transport
        host = FlowHost(
            keys: keys, sessions: sessions, exchange: ServerExchange(transport: transport), now: now,
            sweeper: Sweeper(keys: keys, sessions: sessions, now: now))
    }

    deinit {
        transport.finish()
    }

    /// Finds out what protects `url`, from its answer to a request without a token.
    ///
    /// - Parameter issuer: the authorization server's identifier, for a resource that publishes none; one that is published goes before.
    public func discover(_ url: String, issuer: String? = nil) async throws(ClientError) -> Discovered {
        try await found(.discover(target: url, challenges: nil, issuer: issuer))
    }

    /// Finds the authorization server with this issuer identifier, for resources that publish no metadata.
    public func discoverIssuer(_ issuer: String) async throws(ClientError) -> Discovered {
        try await found(.discoverIssuer(issuer: issuer))
    }

    /// Begins a login: bring the browser to the URL, and what it comes back to, to ``exchange(callback:)``.
    public func authorize(_ request: SessionRequest) async throws(ClientError) -> Authorization {
        try await begun(.authorize(request: request))
    }

    /// Begins a login for more scope, which `Demand.stepUp` names.
    public func stepUp(_ session: Session, scope: String) async throws(ClientError) -> Authorization {
        try await begun(.stepUp(session: session, scope: scope))
    }

    /// Completes a login with the URL that the browser came back to.
    public func exchange(callback: String) async throws(ClientError) -> Session {
        try await opened(.exchange(callback: callback))
    }

    /// Logs in on another device (RFC 8628): `show` is given what the user has to see, and the login is waited for.
    public func device(
        _ request: SessionRequest, show: @Sendable (DevicePrompt) async -> Void
    ) async throws(ClientError) -> Session {
        guard case .devicePrompted(let device, let prompt) = try await run(.device(request: request)) else { throw .unexpected }
        await show(prompt)
        return try await opened(.pollDevice(device: device))
    }

    /// A session in the client's own name.
    public func clientCredentials(_ request: SessionRequest) async throws(ClientError) -> Session {
        try await opened(.clientCredentials(request: request))
    }

    /// A session for a token of somebody else (RFC 8693).
    public func tokenExchange(_ request: SessionRequest, _ exchange: ExchangeRequest) async throws(ClientError) -> Session {
        try await opened(.tokenExchange(request: request, exchange: exchange))
    }

    /// A token of another type for a token, for example an assertion for another server.
    public func exchangeFor(_ request: SessionRequest, _ exchange: ExchangeRequest) async throws(ClientError) -> IssuedToken {
        guard case .tokenIssued(let token) = try await run(.exchangeFor(request: request, exchange: exchange)) else {
            throw .unexpected
        }
        return token
    }

    /// A session for an assertion (RFC 7523).
    public func jwtBearer(_ request: SessionRequest, assertion: String) async throws(ClientError) -> Session {
        try await opened(.jwtBearer(request: request, assertion: assertion))
    }

    /// Opens a stored session. With `boundTo`, a thumbprint, only one that is bound to that key.
    public func open(_ name: String, boundTo: String? = nil) async throws(ClientError) -> Session {
        try await opened(.open(name: name, boundTo: boundTo))
    }

    /// A session of a token that was obtained elsewhere and is bound to a key of this client's.
    public func adopt(_ token: HeldToken) async throws(ClientError) -> Session {
        try await opened(.adopt(token: token))
    }

    /// Stores a provisional session, or the nonces that another one learned since it was stored.
    public func keep(_ session: Session) async throws(ClientError) {
        _ = try await run(.keep(session: session))
    }

    /// Renews the tokens now; calls do so by themselves when it is time.
    public func refresh(_ session: Session) async throws(ClientError) {
        _ = try await run(.refresh(session: session))
    }

    /// Binds the session's tokens to a new key, which the key store is asked for, and deletes the old one unless it is shared.
    ///
    /// For client credentials and for clients with a secret or key of their own. Does nothing if the key store answers with the key that
    /// the session has. Throws misuse for a public client: its refresh token works with its key alone (RFC 9449 section 5), so log in
    /// again for a new key.
    public func rekey(_ session: Session) async throws(ClientError) {
        _ = try await run(.rekey(session: session))
    }

    /// Revokes the session's tokens (RFC 7009).
    public func revoke(_ session: Session) async throws(ClientError) {
        _ = try await run(.revoke(session: session))
    }

    /// Logs out: revokes the session's tokens, and deletes it and its key.
    ///
    /// - Returns: whether the tokens are revoked; not, where the server has no revocation.
    @discardableResult
    public func end(_ session: Session) async throws(ClientError) -> Bool {
        guard case .ended(let revoked) = try await run(.end(session: session)) else { throw .unexpected }
        return revoked
    }

    /// What the authorization server says of a token (RFC 7662): a JSON object.
    public func introspect(_ token: String, at discovered: Discovered) async throws(ClientError) -> String {
        guard case .claims(let json) = try await run(.introspect(discovered: discovered, token: token)) else { throw .unexpected }
        return json
    }

    /// Sends a request with the session's token and a fresh proof: nonces, one retry and refresh included.
    ///
    /// The token goes to the origin of the session's resource and to those of `alsoOrigins`; redirects within the origin are followed with
    /// a new proof, others are the answer. A body that is a stream is preceded by a `HEAD` request where its server's nonce is not known.
    /// A request that was not sent (no connection) is sent up to twice more; one whose answer was lost is not, whatever its method.
    ///
    /// - Returns: the answer, whatever its status. ``call(_:session:)`` says too whether a login or more scope would help.
    public func data(for request: URLRequest, session: Session) async throws(ClientError) -> (Data, HTTPURLResponse) {
        let answer = try await call(request, session: session)
        return (answer.data, answer.response)
    }

    /// As ``data(for:session:)``, with what would help where the request was refused.
    public func call(_ request: URLRequest, session: Session) async throws(ClientError) -> CallResponse {
        let exchange = CallExchange(request, transport: transport)
        let outcome = try await drive(try begin(try request.operation(session)), host, own: exchange)
        guard case .answered(let answer) = outcome else { throw .unexpected }
        guard answer.demand != .resend, let (data, response) = exchange.last else {
            let detail = "the server asks for the request once more, and its body was a stream; make it anew"
            throw .keybound(.flow(fault: Fault(reason: "resend", detail: detail)))
        }
        return CallResponse(
            data: data, response: response, demand: answer.demand, ignoredChallenge: answer.ignoredChallenge)
    }

    /// The request with the session's token and a proof, to be sent once and soon by other means: a download, an upload, a WebSocket.
    ///
    /// - Parameter refused: the answer to an earlier one; what it says of nonces and tokens is heeded.
    /// - Returns: nil only with `refused`: if that refusal asked for no nonce, and no new token can be had, sending again would not help.
    public func authorized(
        _ request: URLRequest, session: Session, refused: HTTPURLResponse? = nil
    ) async throws(ClientError) -> URLRequest? {
        let capture = Capture(request, refused: refused)
        do {
            _ = try await drive(try begin(try request.operation(session)), host, own: capture)
        } catch {
            if refused != nil, case .keybound(.flow(let fault)) = error, fault.reason == "nonce_loop" {
                // Another call learned the nonce of this refusal meanwhile: a request made now carries it.
                return try await authorized(request, session: session)
            }
            guard case .store(let thrown) = error, thrown is Capture.Made else { throw error }
        }
        return capture.made
    }

    private func begin(_ operation: CoreOperation) throws(ClientError) -> CoreFlow {
        do {
            return try core.begin(operation: operation, now: host.now())
        } catch {
            throw .keybound(error)
        }
    }

    private func run(_ operation: CoreOperation) async throws(ClientError) -> Outcome {
        let flow = try begin(operation)
        await host.sweeper?.sweepIfDue()
        return try await drive(flow, host)
    }

    private func found(_ operation: CoreOperation) async throws(ClientError) -> Discovered {
        guard case .found(let discovered) = try await run(operation) else { throw .unexpected }
        return discovered
    }

    private func begun(_ operation: CoreOperation) async throws(ClientError) -> Authorization {
        guard case .loginBegun(let authorization) = try await run(operation) else { throw .unexpected }
        return authorization
    }

    private func opened(_ operation: CoreOperation) async throws(ClientError) -> Session {
        guard case .opened(let session) = try await run(operation) else { throw .unexpected }
        return session
    }
}

/// The answer of a resource.
public struct CallResponse: Sendable {
    /// The body.
    public let data: Data
    /// Status and fields.
    public let response: HTTPURLResponse
    /// What would help, if the request was refused: a login, or more scope.
    public let demand: Demand?
    /// Why a malformed line of `WWW-Authenticate` was ignored, if one was; the other lines count.
    public let ignoredChallenge: String?
}

/// Takes the place of the network: keeps the request that would be sent.
private final class Capture: Exchange, @unchecked Sendable {
    /// Ends the flow.
    struct Made: Error {}

    private let request: URLRequest
    private let lock = NSLock()
    private var refused: HTTPURLResponse?
    private var captured: URLRequest?

    init(_ request: URLRequest, refused: HTTPURLResponse?) {
        self.request = request
        self.refused = refused
    }

    var made: URLRequest? { lock.withLock { captured } }

    func send(_ wanted: HttpRequest) async throws -> HttpResponse {
        if let earlier = lock.withLock({ refused }) {
            lock.withLock { refused = nil }
            return HttpResponse(status: Int32(earlier.statusCode), headers: earlier.fields, body: Data())
        }
        var made = try URLRequest(of: wanted, like: request)
        made.httpBody = request.httpBody
        made.httpBodyStream = request.httpBodyStream
        lock.withLock { captured = made }
        throw Made()
    }
}

extension ClientError {
    /// The core gave another outcome than the operation has.
    static var unexpected: ClientError {
        let detail = "the flow came to an end that its operation does not have; library and package are of different versions"
        return .keybound(.host(fault: Fault(reason: "internal", detail: detail)))
    }
}
