// The README's example for Apple's systems, compiled against the stubs.

import AuthenticationServices
import Foundation
import Keybound

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

@MainActor
func example(anchor: ASPresentationAnchor) async throws -> (Data, HTTPURLResponse) {
    let place = KeychainPlace(account: "main")
    let client = try KeyboundClient(
        options: ClientOptions(
            level: .enhanced, redirectUri: "com.example.app:/callback",
            credentials: [Credentials(issuer: "https://login.example.com", clientId: "example-app")]),
        keys: SecureEnclaveKeys(place: place) { reason in print("a key outside of the Secure Enclave: \(reason)") },
        sessions: KeychainSessions(place: place))

    let discovered = try await client.discover("https://api.example.com/items")
    let authorization = try await client.authorize(
        SessionRequest(begin: .new(name: "work", discovered: discovered), scope: "read"))
    let callback = try await WebLogin(anchor: anchor).open(authorization, callbackScheme: "com.example.app")
    let session = try await client.exchange(callback: callback)

    let request = URLRequest(url: URL(string: "https://api.example.com/items")!)
    let (data, response) = try await client.data(for: request, session: session)
    return (data, response)
}
