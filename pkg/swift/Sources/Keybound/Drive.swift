import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Sends requests of the core: the authorization server's, or the caller's own with the body that the caller has.
protocol Exchange: Sendable {
    func send(_ request: HttpRequest) async throws -> HttpResponse
}

/// Thrown by an ``Exchange``: the network failed, and no byte of the request left. The core sends it again.
struct NotSent: Error {
    /// What reaches the caller, if it cannot be sent in the end.
    let cause: any Error
}

/// All that a flow asks for.
struct FlowHost: Sendable {
    let keys: any ProofKeyStore
    let sessions: any SessionStore
    let exchange: any Exchange
    let now: @Sendable () -> Int64
    var sweeper: Sweeper?
    /// Waits this many milliseconds.
    var wait: @Sendable (Int64) async throws -> Void = { try await Task.sleep(nanoseconds: UInt64($0) * 1_000_000) }
}

/// Runs a flow to its end.
///
/// What the host throws ends the flow as the core decides, and if the flow ends because of it, that very error comes out. Locks are given
/// back whatever happens.
///
/// A cancelled task ends its flow where that loses nothing: while it waits, for a lock, for metadata, or for the answer to the caller's own
/// request. A token that a server has renewed, and taken the old one for, is stored first.
///
/// - Parameter own: sends the caller's own request, in flows of `CoreOperation.call`.
func drive(_ flow: CoreFlow, _ host: FlowHost, own: (any Exchange)? = nil) async throws(ClientError) -> Outcome {
    var driver = Driver(host: host, own: own)
    let ended: Result<Outcome, ClientError>
    do {
        ended = .success(try await driver.run(flow))
    } catch {
        ended = .failure(error)
    }
    for lock in driver.held.values { await lock.unlock() }
    return try ended.get()
}

private struct Driver {
    let host: FlowHost
    let own: (any Exchange)?
    var held: [String: any StoreLock] = [:]
    private var fault: (any Error)?

    init(host: FlowHost, own: (any Exchange)?) {
        self.host = host
        self.own = own
    }

    mutating func run(_ flow: CoreFlow) async throws(ClientError) -> Outcome {
        do {
            var step = try flow.step()
            while true {
                if case .done(let outcome) = step { return outcome }
                step = try flow.resume(reply: try await reply(to: step), now: host.now())
            }
        } catch let error as KeyboundError {
            throw ended(by: error)
        } catch {
            throw .cancelled
        }
    }

    /// What the host throws is the flow's end where the flow says so.
    private func ended(by error: KeyboundError) -> ClientError {
        guard let fault else { return .keybound(error) }
        switch error {
        case .host: return .of(fault)
        case _ where error.reason == "key_unreadable": return .of(fault)
        default: return .keybound(error)
        }
    }

    private mutating func reply(to step: Step) async throws(CancellationError) -> Reply {
        do {
            return try await answer(step)
        } catch {
            if Task.isCancelled, canBeCancelled(step) { throw CancellationError() }
            fault = (error as? NotSent)?.cause ?? error
            return failure(step, error)
        }
    }

    private func canBeCancelled(_ step: Step) -> Bool {
        switch step {
        // A `GET` of the core asks and changes nothing.
        case .fetch(let request): request.method == "GET" || own != nil && request.maxBody == nil
        case .lock, .wait: true
        default: false
        }
    }

    private mutating func answer(_ step: Step) async throws -> Reply {
        let host = host
        switch step {
        case .createKey(let algorithms, let protections):
            return .keyCreated(
                key: try await shielded {
                    if let sweeper = host.sweeper { return try await sweeper.createKey(algorithms: algorithms, protections: protections) }
                    return try await host.keys.createKey(algorithms: algorithms, protections: protections)
                })
        case .deleteKey(let thumbprint):
            try await shielded { try await host.keys.deleteKey(thumbprint: thumbprint) }
            return .completed
        case .sign(let request):
            return .signed(signature: try await shielded { try await host.keys.sign(request) })
        case .fetch(let request):
            // What the core reads itself is sent by the host; the caller's own request by whoever has its body.
            if let own, request.maxBody == nil { return .answered(response: try await own.send(request)) }
            if canBeCancelled(step) { return .answered(response: try await host.exchange.send(request)) }
            return .answered(response: try await shielded { try await host.exchange.send(request) })
        case .lock(let name, let lease):
            held[name] = try await host.sessions.lock(name, lease: lease)
            return .completed
        case .unlock(let name):
            await held.removeValue(forKey: name)?.unlock()
            return .completed
        case .load(let slot):
            return .loaded(value: try await shielded { try await host.sessions.load(slot: slot) })
        case .save(let slot, let expected, let version, let value):
            let sessions = host.sessions
            return .saved(
                stored: try await shielded {
                    try await sessions.save(slot: slot, expected: expected, version: version, value: value)
                })
        case .wait(let milliseconds):
            try await host.wait(milliseconds)
            return .completed
        case .done:
            return .completed
        }
    }

    private func failure(_ step: Step, _ error: any Error) -> Reply {
        let cause = (error as? NotSent)?.cause ?? error
        let detail = (cause as? any LocalizedError)?.errorDescription ?? "\(cause)"
        if case .fetch = step, error is NotSent { return .notSent(detail: detail) }
        guard case .sign = step, let fault = error as? KeyFault else { return .failed(detail: detail) }
        switch fault {
        case .missing: return .keyMissing
        case .changed: return .keyChanged
        case .unreadable(let why): return .keyUnreadable(detail: why)
        }
    }
}

/// Does something to its end, whether or not the task is cancelled meanwhile.
private func shielded<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
    try await Task { try await work() }.value
}

extension ClientError {
    /// What the host threw, by its kind.
    static func of(_ fault: any Error) -> ClientError {
        switch fault {
        case let error as ClientError: error
        case let error as KeyboundError: .keybound(error)
        case let error as URLError: .network(error)
        case is CancellationError: .cancelled
        default: .store(fault)
        }
    }
}
