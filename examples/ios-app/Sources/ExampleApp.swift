import AuthenticationServices
import Keybound
import SwiftUI

/// An app with one account: its key is in the Secure Enclave, its session in the Keychain.
@main
struct ExampleApp: App {
    @StateObject private var account = Account()

    var body: some Scene {
        WindowGroup {
            VStack {
                Text(account.shown)
                Button("Log in") { account.perform { try await $0.logIn() } }
                Button("Call the API") { account.perform { try await $0.call() } }
                Button("Log out") { account.perform { try await $0.logOut() } }
            }
        }
    }
}

/// What the app does for its user.
@MainActor
final class Account: ObservableObject {
    @Published private(set) var shown = "not logged in"

    private static let api = "https://api.example.com/items"
    private var client: KeyboundClient?
    private var session: Session?

    /// Runs something, and shows what went wrong.
    func perform(_ work: @escaping @MainActor (Account) async throws -> Void) {
        Task {
            do {
                try await work(self)
            } catch let error as ClientError where error.isLoginRequired {
                session = nil
                shown = "please log in"
            } catch {
                shown = error.localizedDescription
            }
        }
    }

    func logIn() async throws {
        let client = try opened()
        let discovered = try await client.discover(Self.api)
        let request = SessionRequest(begin: .new(name: "main", discovered: discovered), scope: "read", offlineAccess: true)
        let authorization = try await client.authorize(request)
        let callback = try await WebLogin(anchor: ASPresentationAnchor()).open(authorization, callbackScheme: "com.example.app")
        session = try await client.exchange(callback: callback)
        shown = "logged in"
    }

    func call() async throws {
        let client = try opened()
        // The session of an earlier start, if there is one.
        let session: Session
        if let known = self.session { session = known } else { session = try await client.open("main") }
        self.session = session
        guard let url = URL(string: Self.api) else { return }
        let (data, response) = try await client.data(for: URLRequest(url: url), session: session)
        shown = "\(response.statusCode): \(String(decoding: data, as: UTF8.self))"
    }

    func logOut() async throws {
        guard let session else { return }
        try await opened().end(session)
        self.session = nil
        shown = "not logged in"
    }

    private func opened() throws -> KeyboundClient {
        if let client { return client }
        let place = KeychainPlace(account: "main")
        let client = try KeyboundClient(
            options: ClientOptions(
                level: .enhanced, redirectUri: "com.example.app:/callback",
                credentials: [Credentials(issuer: "https://login.example.com", clientId: "example-app")]),
            keys: SecureEnclaveKeys(place: place) { reason in print("a key outside of the Secure Enclave: \(reason)") },
            sessions: KeychainSessions(place: place))
        self.client = client
        return client
    }
}
