import Foundation

/// A clock that stands still until a test moves it. The app's client and the servers of a ``TestIssuer`` read the same one.
public final class TestClock: Sendable {
    private let shown: Guarded<Int64>

    /// - Parameter time: what it shows at first, in seconds since 1970: 14 November 2023, 22:13:20 UTC, unless told otherwise.
    public init(at time: Int64 = 1_700_000_000) {
        shown = Guarded(time)
    }

    /// The time it shows: what `now: { clock.now }` gives to a client.
    public var now: Int64 { shown.value }

    /// Moves it to a time, which may be in its past.
    public func set(_ time: Int64) { shown.with { $0 = time } }

    /// Moves it ahead.
    public func advance(by seconds: Int64) { shown.with { $0 += seconds } }
}

/// A value behind a lock.
final class Guarded<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var held: Value

    init(_ value: Value) { held = value }

    var value: Value { lock.withLock { held } }

    @discardableResult
    func with<T>(_ work: (inout Value) -> T) -> T { lock.withLock { work(&held) } }
}
