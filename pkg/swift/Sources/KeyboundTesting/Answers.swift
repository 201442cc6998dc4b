import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Answers every request of a configuration by the issuer that it names, and never goes on to the network.
final class Answers: URLProtocol, @unchecked Sendable {
    /// An issuer that requests find as long as it is there.
    struct Known: @unchecked Sendable {
        weak var issuer: TestIssuer?
    }

    /// Names the issuer, in every request of its configuration. Servers do not see it.
    static let field = "Keybound-Test-Issuer"
    static let known = Guarded<[String: Known]>([:])

    override class func canInit(with request: URLRequest) -> Bool { true }

    override class func canonicalRequest(for request: URLRequest) -> URLRequest { request }

    override func startLoading() {
        let name = request.value(forHTTPHeaderField: Self.field) ?? ""
        do {
            guard let issuer = Self.known.value[name]?.issuer ?? issuerOfURL else { throw URLError(.cannotFindHost) }
            let (data, response) = try issuer.response(to: request, body: try body())
            client?.urlProtocol(self, didReceive: response, cacheStoragePolicy: .notAllowed)
            client?.urlProtocol(self, didLoad: data)
            client?.urlProtocolDidFinishLoading(self)
        } catch {
            client?.urlProtocol(self, didFailWithError: error)
        }
    }

    override func stopLoading() {}

    /// Outside of Apple's systems protocols do not see the fields of their configuration: there the URL has to name one issuer alone.
    private var issuerOfURL: TestIssuer? {
        #if canImport(FoundationNetworking)
        let all = Self.known.value.values.compactMap(\.issuer)
        let named = all.filter { $0.hosts.contains(request.url?.host ?? "") }
        return named.count == 1 ? named[0] : all.count == 1 ? all[0] : nil
        #else
        return nil
        #endif
    }

    /// The body, which Apple's systems hand on as a stream.
    private func body() throws -> Data {
        if let body = request.httpBody { return body }
        guard let stream = request.httpBodyStream else { return Data() }
        stream.open()
        defer { stream.close() }
        var (data, buffer) = (Data(), [UInt8](repeating: 0, count: 16 * 1024))
        while true {
            let count = stream.read(&buffer, maxLength: buffer.count)
            if count < 0 { throw stream.streamError ?? URLError(.requestBodyStreamExhausted) }
            if count == 0 { return data }
            data.append(contentsOf: buffer[0..<count])
        }
    }
}
