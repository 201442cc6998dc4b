import Foundation
import Keybound

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// An authorization server, and the API that it issues tokens for, inside of a test: they answer URLSession in place of the network.
///
/// They demand proofs and nonces, bind tokens and refuse as servers do: the code that decides is Keybound's own. Logins are approved at
/// once. Every request has an answer; one to other servers is answered with 404.
public final class TestIssuer: Sendable {
    /// The API, as far as the app's test needs it: the answer to a request that was admitted.
    public typealias API = @Sendable (URLRequest, TestCaller) -> TestResponse

    /// The API's URL, below which it takes every path.
    public let resource: String
    /// The authorization server's identifier.
    public let issuer: String
    /// The app's client identifier.
    public let clientId: String
    /// Where its logins come back to.
    public let redirectUri: String
    /// The time that servers and client read.
    public let clock: TestClock

    /// The name by which requests find these servers.
    let name = UUID().uuidString
    private let servers: Servers
    private let handler = Guarded<API?>(nil)

    /// - Parameters:
    ///   - resource: the API's URL, below which it takes every path.
    ///   - issuer: the authorization server's identifier.
    ///   - clientId: the app's client identifier.
    ///   - redirectUri: where its logins come back to.
    ///   - subject: the user who logs in.
    ///   - scopes: what can be granted, the scope that is granted unasked first.
    ///   - scopesAt: paths below the API's, for example `/items`, and the scope that each requires.
    ///   - tokenLifetime: for how many seconds access tokens are valid.
    ///   - level: what is demanded of clients.
    ///   - nonces: whether proofs must carry nonces.
    ///   - clock: the time that servers and client read.
    /// - Throws: ``TestError``, if an option cannot be used.
    public init(
        resource: String, issuer: String = "https://login.example.com", clientId: String = "test-client",
        redirectUri: String = "https://app.example.com/callback", subject: String = "alice", scopes: [String] = [],
        scopesAt: [String: String] = [:], tokenLifetime: Int64 = 300, level: SecurityLevel = .enhanced, nonces: Bool = true,
        clock: TestClock = TestClock()
    ) throws(TestError) {
        self.resource = resource
        self.issuer = issuer
        self.clientId = clientId
        self.redirectUri = redirectUri
        self.clock = clock
        let options = ServersOptions(
            issuer: issuer, resource: resource, clientId: clientId, redirectUri: redirectUri, subject: subject, scopes: scopes,
            scopesAt: scopesAt.map { ScopeAt(path: $0.key, scope: $0.value) }, tokenLifetime: tokenLifetime, level: "\(level)",
            nonces: nonces, now: clock.now)
        do {
            servers = try Servers(options: options)
        } catch {
            throw TestError(error)
        }
        Answers.known.with { $0[name] = Answers.Known(issuer: self) }
    }

    deinit {
        Answers.known.with { _ = $0.removeValue(forKey: name) }
    }

    /// What the API answers to requests that it admits: by itself it says who called, with what.
    public var api: API? {
        get { handler.value }
        set { handler.with { $0 = newValue } }
    }

    /// How a client reaches these servers, and nothing else, for as long as the test holds this issuer.
    ///
    /// Outside of Apple's systems, issuers that are there at the same time need hosts of their own: a request to a host of two finds none.
    public var configuration: URLSessionConfiguration {
        let configuration = URLSessionConfiguration.ephemeral
        configuration.protocolClasses = [Answers.self]
        configuration.httpAdditionalHeaders = [Answers.field: name]
        return configuration
    }

    /// Options of a client that these servers know.
    public func options(level: SecurityLevel = .enhanced) -> ClientOptions {
        ClientOptions(level: level, redirectUri: redirectUri, credentials: [Credentials(issuer: issuer, clientId: clientId)])
    }

    /// What a browser does with the page of a login, which is approved at once: the URL that it comes back to.
    public func browse(_ url: String) throws -> String {
        guard let page = URL(string: url) else { throw URLError(.badURL) }
        let (data, response) = try response(to: URLRequest(url: page), body: Data())
        guard let place = response.value(forHTTPHeaderField: "Location") else {
            throw TestError("the login was not approved: \(String(decoding: data, as: UTF8.self))")
        }
        return place
    }

    /// Logs in, and does what the browser would.
    public func login(_ client: KeyboundClient, name: String = "test", scope: String? = nil) async throws -> Session {
        let begin = SessionStart.new(name: name, discovered: try await client.discover(resource))
        let authorization = try await client.authorize(SessionRequest(begin: begin, scope: scope))
        return try await client.exchange(callback: try browse(authorization.url))
    }

    /// Sends a request as a thief would: with the session's token, and a proof by a key of the thief's.
    public func sendAsThief(_ request: URLRequest, of session: Session) throws -> (Data, HTTPURLResponse) {
        guard let token = session.dangerAccessToken() else { throw TestError("the session has no access token") }
        var signed = request
        try signed.prove(by: try Key.generate(), accessToken: token, now: clock.now)
        return try response(to: signed, body: request.httpBody ?? Data())
    }

    /// Revokes every access token that was issued so far, as an operator would after a breach.
    public func revokeAccessTokens() { servers.revokeAccessTokens() }

    /// Changes what the servers do wrong, from the next request on; without names, nothing. The names are those of `keybound serve --fault`: for
    /// example `store-failing`, `metadata-failing`, `new-nonce-each-call`, `clock-skew=-90`. Only `slow` has no effect.
    ///
    /// - Throws: ``TestError``, if a name is not known.
    public func misbehave(_ faults: String...) throws(TestError) {
        do {
            try servers.misbehave(faults: faults)
        } catch {
            throw TestError(error)
        }
    }

    /// The hosts of both servers.
    var hosts: [String] { [resource, issuer].compactMap { URL(string: $0)?.host } }

    /// The answer to a request whose body was read.
    func response(to request: URLRequest, body: Data) throws -> (Data, HTTPURLResponse) {
        let (status, fields, data) = answered(request, body)
        // URLSession joins what came several times.
        let joined = Dictionary(fields.map { ($0.name, $0.value) }) { "\($0), \($1)" }
        guard let url = request.url,
            let response = HTTPURLResponse(url: url, statusCode: status, httpVersion: "HTTP/1.1", headerFields: joined)
        else { throw URLError(.badServerResponse) }
        return (data, response)
    }

    private func answered(_ request: URLRequest, _ body: Data) -> (Int, [Field], Data) {
        let fields = (request.allHTTPHeaderFields ?? [:]).map { Field(name: $0.key, value: $0.value) }
        let method = request.httpMethod ?? "GET"
        let url = request.url?.absoluteString ?? ""
        let sent = ServersRequest(
            method: method, url: url, fields: fields.filter { $0.name.lowercased() != Answers.field.lowercased() }, body: body)
        let answer = servers.answer(request: sent, now: clock.now)
        guard let caller = answer.caller, let api else { return (Int(answer.status), answer.fields, Data(answer.body.utf8)) }
        var admitted = request
        admitted.setValue(nil, forHTTPHeaderField: Answers.field)
        admitted.httpBodyStream = nil
        admitted.httpBody = body.isEmpty ? nil : body
        let own = api(admitted, TestCaller(caller))
        let kept = answer.fields.filter { $0.name.lowercased() != "content-type" }
        return (own.status, kept + [Field(name: "Content-Type", value: own.contentType)], method == "HEAD" ? Data() : own.body)
    }
}

/// What cannot be used, in words.
public struct TestError: LocalizedError {
    /// The words.
    public let errorDescription: String?

    init(_ text: String) { errorDescription = text }

    init(_ error: any Error) {
        guard let known = error as? ServersError, case .Unusable(let message) = known else {
            errorDescription = "\(error)"
            return
        }
        errorDescription = message
    }
}
