//! The WASM builds: five modules of one crate, each as small as the tools make it.

use std::path::Path;

use super::npm::{DIST, PACKAGE, ensure_modules};
use super::{copy, folder_of, is_same};
use crate::run::{self, Failure};
use crate::toolchain;

/// Name and features: what a browser loads to call, the client with every grant, what
/// explains refusals, keys and judging of proofs, and that with servers.
pub(crate) const BUILDS: [(&str, &str); 5] =
    [("client", "client"), ("flows", "grants"), ("advice", "advice"), ("full", "full"), ("server", "server")];

/// What LLVM may use: all of it is in every browser and runtime since 2022.
const FEATURES: [&str; 6] =
    ["bulk-memory", "nontrapping-float-to-int", "sign-ext", "mutable-globals", "reference-types", "multivalue"];

/// The builds that pages use, which they can have inside JavaScript as well.
const INLINE: [&str; 4] = ["client", "flows", "advice", "full"];

/// Writes a module into a script: compressed, as base64 text, which `pkg/npm/src/load/inline.ts` reads.
const WRITE_INLINE: &str = "
const { deflateRawSync } = require('node:zlib');
const { readFileSync, writeFileSync } = require('node:fs');
const [module, script] = process.argv.slice(1);
writeFileSync(script, `export default '${deflateRawSync(readFileSync(module), { level: 9 }).toString('base64')}';\n`);
";

/// How `wasm-opt` makes a module small. Nothing lies below address 1024, where the stack ends.
const SHRINK: [&str; 6] =
    ["-Oz", "--low-memory-unused", "--optimize-added-constants-propagate", "-Oz", "--strip-debug", "--strip-producers"];

pub(crate) fn build() -> Result<(), Failure> {
    ensure_modules()?;
    for (name, features) in BUILDS {
        println!("    {name}");
        let (module, pinned) = toolchain::build_wasm("keybound-wasm", features)?;
        bundle(name, &module)?;
        std::fs::write(marker(), if pinned { "pinned" } else { "other" })
            .map_err(|error| format!("cannot write {}: {error}", marker().display()))?;
    }
    Ok(())
}

/// Whether the builds came from the pinned compiler, whose sizes are recorded.
pub(crate) fn is_pinned() -> bool {
    std::fs::read_to_string(marker()).is_ok_and(|text| text == "pinned")
}

fn marker() -> std::path::PathBuf {
    run::target_dir().join("wasm").join("compiler")
}

/// Writes the JavaScript beside a module and shrinks it, unless it is the one that was bundled last.
fn bundle(name: &str, module: &Path) -> Result<(), Failure> {
    let work = run::target_dir().join("wasm").join(name);
    let last = work.join("bundled.wasm");
    let folder = run::root().join(DIST).join("wasm");
    let (script, binary) = (folder.join(format!("{name}.js")), folder.join(format!("{name}_bg.wasm")));
    let (tools, recipe) = (work.join("tools"), recipe()?);
    let same_tools = std::fs::read(&tools).is_ok_and(|last| last == recipe);
    let inline = INLINE.contains(&name).then(|| folder.join(format!("{name}.inline.js")));
    let complete = script.exists() && binary.exists() && inline.as_ref().is_none_or(|inline| inline.exists());
    if complete && same_tools && is_same(module, &last) {
        return Ok(());
    }
    folder_of(&last)?;
    folder_of(&binary)?;
    run::run(
        run::cargo()
            .args(["run", "--quiet", "--locked", "--package", "wasm-bundle", "--"])
            .arg(module)
            .arg(name)
            .arg(&work),
    )?;
    let mut shrink = run::command("node");
    shrink.arg(run::root().join(PACKAGE).join("node_modules/binaryen/bin/wasm-opt"));
    shrink.args(SHRINK);
    shrink.args(FEATURES.map(|feature| format!("--enable-{feature}")));
    run::run(shrink.arg(work.join(format!("{name}_bg.wasm"))).arg("-o").arg(&binary))?;
    copy(&work.join(format!("{name}.js")), &script)?;
    if let Some(inline) = inline {
        run::run(run::command("node").args(["-e", WRITE_INLINE, "--"]).arg(&binary).arg(inline))?;
    }
    std::fs::write(&tools, recipe).map_err(|error| format!("cannot write {}: {error}", tools.display()))?;
    copy(module, &last)
}

/// What else than the module decides about the bundle: the tools, their versions and what they are told.
fn recipe() -> Result<Vec<u8>, Failure> {
    let mut recipe = [&SHRINK.join(" "), WRITE_INLINE].concat().into_bytes();
    for file in ["pkg/npm/package-lock.json", "xtask/wasm-bundle/Cargo.toml", "xtask/wasm-bundle/src/main.rs"] {
        recipe.extend(std::fs::read(run::root().join(file)).map_err(|error| format!("cannot read {file}: {error}"))?);
    }
    Ok(recipe)
}
