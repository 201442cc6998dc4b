//! `wasm-bundle MODULE NAME FOLDER`: writes NAME.js and NAME_bg.wasm, the module without what only wasm-bindgen reads.

use std::io::Write as _;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, name, folder] = arguments.as_slice() else {
        eprintln!("usage: wasm-bundle MODULE NAME FOLDER");
        return ExitCode::from(2);
    };
    match bundle(module, name, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wasm-bundle: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bundle(module: &str, name: &str, folder: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut bindgen = Bindgen::new();
    bindgen.web(true)?.input_path(module).out_name(name);
    // The types are those of the package. Its loaders pass the place themselves, and say what to do where nothing is there.
    bindgen.typescript(false).omit_default_module_path(true);
    bindgen.generate(folder)?;
    // Bundlers find the module by this literal and copy it; where they do not, it is looked for beside the bundle.
    let place = format!("\nexport const place = () => new URL('./{name}_bg.wasm', import.meta.url);\n");
    let script = std::path::Path::new(folder).join(name).with_extension("js");
    std::fs::OpenOptions::new().append(true).open(script)?.write_all(place.as_bytes())?;
    Ok(())
}
