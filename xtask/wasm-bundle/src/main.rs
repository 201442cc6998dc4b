//! `wasm-bundle MODULE NAME FOLDER`: writes NAME.js and NAME_bg.wasm, the module without what only wasm-bindgen reads.

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

fn bundle(module: &str, name: &str, folder: &str) -> Result<(), impl std::fmt::Display> {
    let mut bindgen = Bindgen::new();
    bindgen.web(true)?.input_path(module).out_name(name);
    // The types are those of the package; without a path of its own, `init()` would find nothing in a browser.
    bindgen.typescript(false).omit_default_module_path(false);
    bindgen.generate(folder)
}
