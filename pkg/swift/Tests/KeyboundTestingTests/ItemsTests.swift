import Foundation
import Keybound
import KeyboundTesting
import XCTest

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The guide's example: `ReadmeTests` looks for it here.
final class ItemsTests: XCTestCase {
    func testItemsAreThoseOfTheUser() async throws {
        let issuer = try TestIssuer(resource: "https://api.example.com", clientId: "my-client")
        issuer.api = { _, caller in TestResponse(#"{"of":"\#(caller.subject ?? "")"}"#) }
        let clock = issuer.clock
        let client = try KeyboundClient(options: issuer.options(), configuration: issuer.configuration, now: { clock.now })
        let session = try await issuer.login(client)
        let items = URLRequest(url: try XCTUnwrap(URL(string: "https://api.example.com/items")))
        let (data, _) = try await client.data(for: items, session: session)
        XCTAssertEqual(String(decoding: data, as: UTF8.self), #"{"of":"alice"}"#)

        // A thief has the token, but not its key.
        let (_, refused) = try issuer.sendAsThief(items, of: session)
        XCTAssertEqual(refused.statusCode, 401)

        // An hour later the token is renewed before the call.
        let token = session.dangerAccessToken()
        clock.advance(by: 3600)
        let (_, response) = try await client.data(for: items, session: session)
        XCTAssertEqual(response.statusCode, 200)
        XCTAssertNotEqual(session.dangerAccessToken(), token)
    }
}
