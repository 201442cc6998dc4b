//! Swift as Swift reads: typed throws, final classes, and no converters in sight.

use crate::rewrite::{all, lines, missed};

/// Argument labels where a call reads better with another than the parameter's name.
const LABELS: [(&str, &str); 15] = [
    ("func verify(presented: PresentedProof, store: ", "func verify(_ presented: PresentedProof, in store: "),
    ("func check(presented: ", "func check(_ presented: "),
    ("func explain(presented: PresentedProof, store: ", "func explain(_ presented: PresentedProof, in store: "),
    ("func freshNonce(role: ", "func freshNonce(for role: "),
    ("func insert(entry: ", "func insert(_ entry: "),
    ("func settle(insertion: ", "func settle(_ insertion: "),
    ("func attach(signature: ", "func attach(_ signature: "),
    ("func sign(message: ", "func sign(_ message: "),
    ("func fromPem(pem: ", "func fromPem(_ pem: "),
    ("func fromJwk(jwk: ", "func fromJwk(_ jwk: "),
    ("func fromDer(der: ", "func fromDer(_ der: "),
    ("func thumbprint(publicJwk: ", "func thumbprint(of publicJwk: "),
    ("func explainResponse(response: ", "func explainResponse(_ response: "),
    ("func member(name: ", "func member(_ name: "),
    ("func grant(granted: ", "func grant(_ granted: "),
];

/// Values that apps and stores write down.
const STORED: [&str; 6] = ["CreatedKey", "Protection", "SecurityLevel", "SessionInfo", "StoredValue", "Subject"];

/// Types and functions for the written part of the package alone.
const HIDDEN: [&str; 17] = [
    "final class FileFolder:",
    "final class FileLock:",
    "enum FiledKey ",
    "struct FiledMark:",
    "struct FiledValue:",
    "struct SavingLock:",
    "final class Sweep:",
    "struct Swept:",
    "struct SweptSlot:",
    "func isSweepDue(",
    "func lockPause(",
    "func privateFile(",
    "func privateFolder(",
    "func replacePrivateFile(",
    "func savingLock(",
    "func storedFileName(",
    "func tryLockFile(",
];

const UNTYPED: &str = "\
private func rustCallWithError<T, E: Swift.Error>(
    _ errorHandler: @escaping (RustBuffer) throws -> E,
    _ callback: (UnsafeMutablePointer<RustCallStatus>) -> T) throws -> T {
    try makeRustCall(callback, errorHandler: errorHandler)
}
";

/// The library throws `KeyboundError` and nothing else; what else goes wrong is a build whose parts do not fit.
const TYPED: &str = "\
private func rustCallWithError<T>(
    _ errorHandler: @escaping (RustBuffer) throws -> KeyboundError,
    _ callback: (UnsafeMutablePointer<RustCallStatus>) -> T) throws(KeyboundError) -> T {
    do {
        return try makeRustCall(callback, errorHandler: errorHandler)
    } catch let error as KeyboundError {
        throw error
    } catch {
        throw internalError(error)
    }
}

private func lifted<I, O>(_ lift: (I) throws -> O, _ value: I) throws(KeyboundError) -> O {
    do {
        return try lift(value)
    } catch {
        throw internalError(error)
    }
}

private func internalError(_ error: any Swift.Error) -> KeyboundError {
    .host(fault: Fault(reason: \"internal\", detail: \"the library and its Swift code do not fit together: \\(error)\"))
}
";

pub(crate) fn improve(text: String) -> Result<String, String> {
    let mut text = all(&text, UNTYPED, TYPED)?;
    text = lines(&text, ")throws ", |line| {
        let is_declaration = ["open func ", "public func ", "public static func ", "public convenience init"]
            .iter()
            .any(|start| line.trim_start().starts_with(start));
        (is_declaration && line.contains(")throws ")).then(|| line.replace(")throws ", ") throws(KeyboundError) "))
    })?;
    text = lines(&text, "func of a protocol that throws", |line| {
        let is_requirement = line.starts_with("    func ") && !line.trim_end().ends_with('{');
        (is_requirement && line.contains(") throws ")).then(|| line.replace(") throws ", ") throws(KeyboundError) "))
    })?;
    text = lines(&text, "return try  …(try rustCallWithError", |line| {
        let (indent, rest) = line.split_once("return try  ")?;
        let (lift, rest) = rest.split_once("(try rustCallWithError")?;
        Some(format!("{indent}return try lifted({lift}, try rustCallWithError{rest}"))
    })?;
    // Cases of errors begin with a small letter, as other cases do.
    for case in ["Rejected", "Misuse", "LoginRequired", "Flow", "Host"] {
        let small = format!("{}{}", case[..1].to_lowercase(), &case[1..]);
        text = all(&text, &format!("case {case}("), &format!("case {small}("))?;
        text = all(&text, &format!(".{case}("), &format!(".{small}("))?;
    }
    for (old, new) in [
        ("open class ", "public final class "),
        ("open func ", "public func "),
        (", @unchecked Sendable {", ", Sendable {"),
        (", @unchecked Sendable, ", ", Sendable, "),
        ("required public init(unsafeFromHandle", "init(unsafeFromHandle"),
        ("public struct NoHandle {\n        public init() {}", "struct NoHandle {\n        init() {}"),
        ("public init(noHandle", "init(noHandle"),
        ("public func uniffiCloneHandle", "func uniffiCloneHandle"),
        ("public struct FfiConverter", "struct FfiConverter"),
        ("public func FfiConverter", "func FfiConverter"),
    ] {
        text = all(&text, old, new)?;
    }
    for (old, new) in LABELS {
        text = all(&text, old, new)?;
    }
    text = without_protocols(&text)?;
    text = reflected(&text)?;
    for hidden in HIDDEN {
        text = all(&text, &format!("public {hidden}"), hidden)?;
    }
    // Synthesised in the file of the declaration alone.
    for name in STORED {
        if !["struct", "enum"].iter().any(|kind| text.contains(&format!("\npublic {kind} {name}: "))) {
            return Err(missed(name));
        }
        text.push_str(&format!("\nextension {name}: Codable {{}}\n"));
    }
    lines(&text, "trailing blanks", |line| {
        let trimmed = line.trim_end();
        (trimmed.len() + 1 < line.len()).then(|| format!("{trimmed}\n"))
    })
}

/// Drops the protocol of each class: nothing takes one.
fn without_protocols(text: &str) -> Result<String, String> {
    let (mut new, mut is_protocol, mut changed) = (String::with_capacity(text.len()), false, false);
    for line in text.split_inclusive('\n') {
        if line.starts_with("public protocol ") && line.contains("Protocol: AnyObject") {
            if new.trim_end().ends_with("*/")
                && let Some(at) = new.rfind("/**")
            {
                new.truncate(at);
            }
            is_protocol = true;
        }
        if !is_protocol {
            let class = line.strip_prefix("public final class ").and_then(|rest| rest.split(':').next());
            let conformance =
                class.map(|class| format!(" {class}Protocol,")).filter(|found| line.contains(found.as_str()));
            changed |= conformance.is_some();
            new.push_str(&conformance.map_or(line.to_owned(), |found| line.replacen(&found, "", 1)));
        }
        if line == "}\n" {
            is_protocol = false;
        }
    }
    if changed { Ok(new) } else { Err(missed("class with a protocol")) }
}

/// Types whose text leaves secrets out leave them out of their reflection as well, which `dump` and debuggers print.
fn reflected(text: &str) -> Result<String, String> {
    let named = |line: &str| {
        let declared = line.strip_prefix("public struct ").or_else(|| line.strip_prefix("public enum "))?;
        let (name, rest) = declared.split_once(':')?;
        rest.contains("CustomStringConvertible").then(|| name.to_owned())
    };
    let mut new = text.to_owned();
    for name in text.lines().filter_map(named) {
        new.push_str(&format!(
            "\nextension {name}: CustomReflectable {{\n    public var customMirror: Mirror {{ Mirror(self, children: [\"shown\": description]) }}\n}}\n"
        ));
    }
    if new.len() > text.len() {
        Ok(new)
    } else {
        Err("the generated code has no type with a text of its own any more".to_owned())
    }
}
