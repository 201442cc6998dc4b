//! Writes Keybound's own vectors: `cargo run -p keybound-conformance --bin make-own-vectors`.

use std::path::Path;

use keybound_conformance::own;

fn main() -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    for (name, text) in own::files() {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}
