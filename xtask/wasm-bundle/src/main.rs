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

fn bundle(module: &str, name: &str, folder: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut bindgen = Bindgen::new();
    bindgen.web(true)?.input_path(module).out_name(name);
    // The types are those of the package. Its loaders pass the place themselves, and say what to do where nothing is there.
    bindgen.typescript(false).omit_default_module_path(true);
    bindgen.generate(folder)?;
    // Bundlers find the module by this literal and copy it; where they do not, it is looked for beside the bundle.
    let place = format!("\nexport const place = () => new URL('./{name}_bg.wasm', import.meta.url);\n");
    let script = std::path::Path::new(folder).join(name).with_extension("js");
    let glue = checked(std::fs::read_to_string(&script)?)?;
    std::fs::write(script, glue + &place)?;
    Ok(())
}

/// What wasm-bindgen takes without a look, and what is asked first: an object would become an empty text, and an array of any length bytes.
const CHECKS: [(&str, &str); 2] = [
    ("function passStringToWasm0(arg, malloc, realloc) {", "typeof arg !== 'string'"),
    ("function passArray8ToWasm0(arg, malloc) {", "arg?.BYTES_PER_ELEMENT !== 1"),
];
/// What needs no check: the elements are looked at in Rust.
const UNCHECKED: &str = "function passArrayJsValueToWasm0(array, malloc) {";

/// The script with a check at the head of each function that takes a value. Every build has texts, and not every one bytes.
fn checked(mut glue: String) -> Result<String, Box<dyn std::error::Error>> {
    let known = |head: &str| head == UNCHECKED || CHECKS.iter().any(|(function, _)| *function == head);
    if let Some(head) = glue.lines().find(|line| line.starts_with("function pass") && !known(line)) {
        return Err(format!("`{head}` of wasm-bindgen takes values that are not checked").into());
    }
    let [(text, _), _] = CHECKS;
    if !glue.contains(text) {
        return Err(format!("wasm-bindgen writes another head than `{text}`").into());
    }
    for (function, check) in CHECKS {
        glue = glue.replacen(function, &format!("{function}\n    if ({check}) throw new TypeError('wrong type');"), 1);
    }
    Ok(glue)
}
