import Foundation

/// A JSON value that can be compared.
enum JSON: Equatable, Decodable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case array([JSON])
    case object([String: JSON])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() { self = .null } else if let value = try? container.decode(Bool.self) { self = .bool(value) }
        else if let value = try? container.decode(Double.self) { self = .number(value) }
        else if let value = try? container.decode(String.self) { self = .text(value) }
        else if let value = try? container.decode([JSON].self) { self = .array(value) }
        else { self = .object(try container.decode([String: JSON].self)) }
    }

    static func parse(_ text: String) throws -> JSON { try JSONDecoder().decode(JSON.self, from: Data(text.utf8)) }

    subscript(name: String) -> JSON? {
        if case .object(let members) = self { members[name] } else { nil }
    }

    /// A member that is text.
    func text(_ name: String) -> String? { self[name]?.text }
    func number(_ name: String) -> Int64? {
        if case .number(let number) = self[name] { Int64(number) } else { nil }
    }
    func flag(_ name: String) -> Bool { self[name] == .bool(true) }
    func has(_ name: String) -> Bool { self[name] != nil && self[name] != .null }

    var text: String? {
        if case .text(let text) = self { text } else { nil }
    }
    var elements: [JSON] {
        if case .array(let elements) = self { elements } else { [] }
    }
    var members: [String: JSON] {
        if case .object(let members) = self { members } else { [:] }
    }

    /// The value as text, members in alphabetical order.
    var written: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let value): value == value.rounded() ? String(Int64(value)) : String(value)
        case .text(let text): Self.quoted(text)
        case .array(let elements): "[" + elements.map(\.written).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.sorted { $0.key < $1.key }.map { Self.quoted($0.key) + ":" + $0.value.written }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        let data = try? JSONEncoder().encode([text])
        return data.map { String(String(decoding: $0, as: UTF8.self).dropFirst().dropLast()) } ?? "\"\""
    }

    static func optional(_ text: String?) -> JSON { text.map(JSON.text) ?? .null }
}

/// What the tests read from the repository: vectors, flows and the contract.
enum Vectors {
    static let root: URL = {
        var folder = URL(fileURLWithPath: #filePath)
        while !FileManager.default.fileExists(atPath: folder.appendingPathComponent("Cargo.lock").path) { folder.deleteLastPathComponent() }
        return folder
    }()

    static func read(_ path: String) throws -> JSON {
        try JSONDecoder().decode(JSON.self, from: Data(contentsOf: root.appendingPathComponent("tests/\(path)")))
    }

    static func list(_ folder: String) throws -> [String] {
        let path = root.appendingPathComponent("tests/\(folder)").path
        return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".json") }.sorted()
    }

    /// All proofs with their outcomes.
    static func proofs() throws -> [JSON] { try list("vectors").flatMap { try read("vectors/\($0)").elements } }
}

/// A decoded part of a JWT.
func part(_ text: String, _ at: Int) -> JSON? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard at < parts.count else { return nil }
    var encoded = parts[at].replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
    encoded += String(repeating: "=", count: (4 - encoded.count % 4) % 4)
    return Data(base64Encoded: encoded).flatMap { try? JSONDecoder().decode(JSON.self, from: $0) }
}
