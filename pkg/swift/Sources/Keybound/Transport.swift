import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Sends requests by URLSession: without following redirects, which the core does with a proof for each, and never to elsewhere.
final class Transport: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    /// Names a request under way: numbers of tasks are those of their session.
    private struct Name: Hashable {
        let session: ObjectIdentifier
        let task: Int

        init(_ session: URLSession, _ task: URLSessionTask) {
            self.session = ObjectIdentifier(session)
            self.task = task.taskIdentifier
        }
    }

    /// A request under way.
    private struct Pending {
        let limit: Int?
        let continuation: CheckedContinuation<(Data, HTTPURLResponse), any Error>
        var response: HTTPURLResponse?
        var data = Data()
        var isTooLong = false
        /// Nothing of the body is wanted.
        var isEnough = false
    }

    /// The errors by which URLSession says that there was no connection.
    private static let unconnected: Set<URLError.Code> = [.cannotFindHost, .dnsLookupFailed, .cannotConnectToHost]

    // Guarded by `lock`; URLSession calls from a queue of its own.
    private let lock = NSLock()
    private var pending: [Name: Pending] = [:]
    private var session: URLSession?
    private let observe: (@Sendable (URLRequest) -> Void)?

    /// - Parameters:
    ///   - configuration: how it connects; it stays as it is. Of cookies, caches and stored credentials nothing is used: they would give one
    ///     account what is another's.
    ///   - observe: is shown every request before it goes out.
    init(configuration: URLSessionConfiguration = .ephemeral, observe: (@Sendable (URLRequest) -> Void)? = nil) {
        self.observe = observe
        super.init()
        session = URLSession(configuration: Self.alone(configuration), delegate: self, delegateQueue: nil)
    }

    /// The same way to connect, with nothing that outlives a session or answers for it. It is a copy: the caller's is an object.
    static func alone(_ configuration: URLSessionConfiguration) -> URLSessionConfiguration {
        let own = configuration.copy() as! URLSessionConfiguration  // swiftlint:disable:this force_cast: a copy is of its kind
        own.httpCookieStorage = nil
        own.httpCookieAcceptPolicy = .never
        own.httpShouldSetCookies = false
        own.urlCache = nil
        own.requestCachePolicy = .reloadIgnoringLocalCacheData
        own.urlCredentialStorage = nil
        return own
    }

    /// Ends when what is under way has ended.
    func finish() {
        session?.finishTasksAndInvalidate()
    }

    /// Sends a request and reads at most `limit` bytes of its answer; a longer one is an error. With 0 the body is not read.
    ///
    /// - Throws: ``NotSent``, where there was no connection.
    func data(for request: URLRequest, limit: Int? = nil) async throws -> (Data, HTTPURLResponse) {
        observe?(request)
        guard let session = session(for: request, limit) else { throw URLError(.cancelled) }
        let task = session.dataTask(with: request)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                lock.withLock { pending[Name(session, task)] = Pending(limit: limit, continuation: continuation) }
                task.resume()
                if session !== self.session { session.finishTasksAndInvalidate() }
            }
        } onCancel: {
            task.cancel()
        }
    }

    /// The session for a request. Outside of Apple's systems libcurl repeats a request by itself whose answer was lost on a connection that was
    /// kept open: what the core would not repeat has a connection of its own there.
    private func session(for request: URLRequest, _ limit: Int?) -> URLSession? {
        #if canImport(FoundationNetworking)
        if let session, limit == nil || request.httpMethod != "GET" {
            return URLSession(configuration: session.configuration, delegate: self, delegateQueue: nil)
        }
        #endif
        return session
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
        completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
    ) {
        let isEnough = lock.withLock {
            pending[Name(session, dataTask)]?.response = response as? HTTPURLResponse
            // The answer to a `HEAD` has no body, and its connection can be used again.
            let isEnough = pending[Name(session, dataTask)]?.limit == 0 && dataTask.originalRequest?.httpMethod != "HEAD"
            pending[Name(session, dataTask)]?.isEnough = isEnough
            return isEnough
        }
        completionHandler(isEnough ? .cancel : .allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        let isTooLong = lock.withLock {
            guard var known = pending[Name(session, dataTask)] else { return false }
            if let limit = known.limit, known.data.count + data.count > limit { known.isTooLong = true } else { known.data += data }
            pending[Name(session, dataTask)] = known
            return known.isTooLong
        }
        if isTooLong { dataTask.cancel() }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        guard let ended = lock.withLock({ pending.removeValue(forKey: Name(session, task)) }) else { return }
        if ended.isEnough, let response = ended.response {
            ended.continuation.resume(returning: (Data(), response))
        } else if ended.isTooLong {
            ended.continuation.resume(throwing: URLError(.dataLengthExceedsMaximum))
        } else if let error {
            let failure = error as? URLError ?? URLError(.unknown, userInfo: [NSUnderlyingErrorKey: error])
            // A body of which something left says that an earlier connection of this task was lost.
            let isNotSent = Self.unconnected.contains(failure.code) && task.countOfBytesSent == 0
            ended.continuation.resume(throwing: isNotSent ? NotSent(cause: failure) : failure)
        } else if let response = ended.response ?? task.response as? HTTPURLResponse {
            ended.continuation.resume(returning: (ended.data, response))
        } else {
            ended.continuation.resume(throwing: URLError(.badServerResponse))
        }
    }
}

/// Requests to authorization servers.
struct ServerExchange: Exchange {
    let transport: Transport
    /// Seconds for a whole answer.
    static let timeout: Int64 = 60

    func send(_ request: HttpRequest) async throws -> HttpResponse {
        var sent = try URLRequest(of: request)
        if case .bytes(let content) = request.body { sent.httpBody = content }
        sent.timeoutInterval = TimeInterval(request.timeout ?? Self.timeout)
        let (data, response) = try await transport.data(for: sent, limit: Int(request.maxBody ?? 0))
        return HttpResponse(status: Int32(response.statusCode), headers: response.fields, body: data)
    }
}

/// The caller's own request, sent as often as the core asks. Keeps the last answer.
final class CallExchange: Exchange, @unchecked Sendable {
    private let request: URLRequest
    private let transport: Transport
    // Guarded by `lock`, although a flow asks for one thing at a time.
    private let lock = NSLock()
    private var answer: (Data, HTTPURLResponse)?
    private var isSent = false

    init(_ request: URLRequest, transport: Transport) {
        self.request = request
        self.transport = transport
    }

    /// The last answer.
    var last: (Data, HTTPURLResponse)? { lock.withLock { answer } }

    func send(_ wanted: HttpRequest) async throws -> HttpResponse {
        var sent = try URLRequest(of: wanted, like: request)
        switch wanted.body {
        case .repeatable:
            sent.httpBody = request.httpBody
        case .oneShot:
            let wasSent = lock.withLock {
                defer { isSent = true }
                return isSent
            }
            guard !wasSent, let stream = request.httpBodyStream else { throw URLError(.requestBodyStreamExhausted) }
            sent.httpBodyStream = stream
        case .empty, .bytes:
            break
        }
        let (data, response) = try await transport.data(for: sent)
        lock.withLock { answer = (data, response) }
        return HttpResponse(status: Int32(response.statusCode), headers: response.fields, body: Data())
    }
}

extension URLRequest {
    /// A request of the core, with the caller's settings but none of their fields and body.
    init(of request: HttpRequest, like own: URLRequest? = nil) throws {
        guard let url = URL(string: request.url) else { throw URLError(.badURL) }
        self = own ?? URLRequest(url: url)
        self.url = url
        httpMethod = request.method
        httpBody = nil
        httpBodyStream = nil
        for name in (allHTTPHeaderFields ?? [:]).keys { setValue(nil, forHTTPHeaderField: name) }
        for header in request.headers { addValue(header.value, forHTTPHeaderField: header.name) }
        cachePolicy = .reloadIgnoringLocalCacheData
        httpShouldHandleCookies = false
    }

    /// The operation of the core for this request. The URL is proved as it is written.
    func operation(_ session: Session) throws(ClientError) -> CoreOperation {
        guard let url else { throw .network(URLError(.badURL)) }
        let written = url.absoluteString
        let headers = (allHTTPHeaderFields ?? [:]).map { Header(name: $0.key, value: $0.value) }
        let target = written.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init) ?? written
        let request = CallRequest(
            method: httpMethod ?? "GET", url: target, headers: headers.sorted { $0.name < $1.name }, body: kindOfBody)
        return .call(session: session, request: request)
    }

    private var kindOfBody: CallBody {
        if httpBody != nil { return .repeatable }
        return httpBodyStream == nil ? .empty : .oneShot
    }
}

extension HTTPURLResponse {
    /// All fields; those that came several times are joined by commas.
    var fields: [Header] {
        allHeaderFields.compactMap { name, value in
            guard let name = name as? String, let value = value as? String else { return nil }
            return Header(name: name, value: value)
        }
    }
}
