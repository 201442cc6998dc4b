//! A PKCS #11 module for tests: SoftHSM, with faults and a record of calls.
//!
//! It reads a file of rules at each call, named by `KEYBOUND_TEST_RULES`: a line is a function, what it does, and a number, such as
//! `C_SetAttributeValue fail 0x30`. The file beside it, `calls`, gets a line for each call. It holds no PIN.
#![allow(
    missing_docs,
    non_snake_case,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::missing_safety_doc,
    clippy::not_unsafe_ptr_arg_deref,
    reason = "a module is made of C calls, and this one is for tests"
)]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use cryptoki_sys::*;

struct Lists {
    real: CK_FUNCTION_LIST,
    ours: CK_FUNCTION_LIST,
}

// SAFETY: both are tables of functions that are never changed.
unsafe impl Send for Lists {}
unsafe impl Sync for Lists {}

static LISTS: OnceLock<Box<Lists>> = OnceLock::new();

fn rules_file() -> PathBuf {
    std::env::var_os("KEYBOUND_TEST_RULES").expect("KEYBOUND_TEST_RULES").into()
}

/// Records the call and gives the number of the rule for it, if there is one.
fn called(function: &str) -> Vec<(String, CK_ULONG)> {
    let path = rules_file();
    let mut calls = OpenOptions::new().create(true).append(true).open(path.with_file_name("calls")).unwrap();
    // In one piece: threads call at once.
    calls.write_all(format!("{function}\n").as_bytes()).unwrap();
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if words.first() == Some(&function) {
            found.push((words[1].to_owned(), number(words[2])));
        }
    }
    found
}

fn number(text: &str) -> CK_ULONG {
    text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| CK_ULONG::from_str_radix(hex, 16)).unwrap()
}

fn rule(rules: &[(String, CK_ULONG)], name: &str) -> Option<CK_ULONG> {
    rules.iter().find(|(rule, _)| rule == name).map(|(_, number)| *number)
}

/// Declares functions that fail if a rule says so, wait if one says so, and call SoftHSM otherwise.
macro_rules! forwarded {
    ($($name:ident($($argument:ident: $kind:ty),*) $after:expr;)*) => {
        $(unsafe extern "C" fn $name($($argument: $kind),*) -> CK_RV {
            let rules = called(stringify!($name));
            if let Some(milliseconds) = rule(&rules, "sleep") {
                std::thread::sleep(Duration::from_millis(milliseconds.into()));
            }
            if let Some(code) = rule(&rules, "fail") {
                return code.into();
            }
            if let Some(code) = rule(&rules, "fail-once")
                && fs::File::create_new(rules_file().with_file_name(concat!(stringify!($name), ".failed"))).is_ok()
            {
                return code.into();
            }
            // SAFETY: the arguments are those that the caller gave.
            let code = unsafe { (LISTS.get().unwrap().real.$name.unwrap())($($argument),*) };
            if code == CKR_OK {
                let after: fn(&[(String, CK_ULONG)], $($kind),*) = $after;
                after(&rules, $($argument),*);
            }
            code
        })*

        fn intercept(list: &mut CK_FUNCTION_LIST) {
            $(list.$name = Some($name);)*
        }
    };
}

forwarded! {
    C_Initialize(arguments: *mut std::ffi::c_void) |_, _| {};
    C_Finalize(reserved: *mut std::ffi::c_void) |_, _| {};
    C_OpenSession(slot: CK_SLOT_ID, flags: CK_FLAGS, data: *mut std::ffi::c_void, notify: CK_NOTIFY, session: *mut CK_SESSION_HANDLE) |_, _, _, _, _, _| {};
    C_Login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, length: CK_ULONG) |_, _, _, _, _| {};
    C_Logout(session: CK_SESSION_HANDLE) |_, _| {};
    C_GenerateKeyPair(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, public: *mut CK_ATTRIBUTE, publics: CK_ULONG, private: *mut CK_ATTRIBUTE, privates: CK_ULONG, public_key: *mut CK_OBJECT_HANDLE, private_key: *mut CK_OBJECT_HANDLE) |_, _, _, _, _, _, _, _, _| {};
    C_SetAttributeValue(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG) |_, _, _, _, _| {};
    C_DestroyObject(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) |_, _, _| {};
    C_SignInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) |_, _, _, _| {};
    C_Sign(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_length: CK_ULONG, signature: *mut CK_BYTE, length: *mut CK_ULONG) |rules, _, _, _, signature, _| {
        if rule(rules, "spoil").is_some() && !signature.is_null() {
            // SAFETY: SoftHSM has written a signature there.
            unsafe { *signature ^= 1 };
        }
    };
    C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) |rules, _, info| {
        // SAFETY: SoftHSM has filled it.
        let info = unsafe { &mut *info };
        info.flags |= rule(rules, "flags").unwrap_or_default();
        if rule(rules, "serial").is_some() {
            info.serialNumber = *b"another token   ";
        }
    };
    C_FindObjects(session: CK_SESSION_HANDLE, objects: *mut CK_OBJECT_HANDLE, most: CK_ULONG, found: *mut CK_ULONG) |rules, _, _, _, found| {
        // As after a token was away: nothing is found, and no call fails, until the module has been initialised so often.
        let calls = fs::read_to_string(rules_file().with_file_name("calls")).unwrap();
        let initialised = calls.lines().filter(|call| *call == "C_Initialize").count();
        if rule(rules, "blind").is_some_and(|until| (initialised as CK_ULONG) < until) {
            // SAFETY: SoftHSM has written how many it found.
            unsafe { *found = 0 };
        }
    };
    C_GetAttributeValue(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG) |rules, _, _, template, count| {
        // SAFETY: the caller gave so many attributes.
        let attributes = unsafe { std::slice::from_raw_parts(template, count as usize) };
        for attribute in attributes {
            for (name, value) in [("true", CK_TRUE), ("false", CK_FALSE)] {
                let is_meant = rules.iter().any(|(rule, kind)| rule == name && *kind == attribute.type_);
                if is_meant && !attribute.pValue.is_null() && attribute.ulValueLen == 1 {
                    // SAFETY: there is room for one byte.
                    unsafe { *attribute.pValue.cast::<CK_BBOOL>() = value };
                }
            }
        }
    };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    let lists = LISTS.get_or_init(|| {
        let path = std::env::var_os("KEYBOUND_TEST_TARGET").expect("KEYBOUND_TEST_TARGET");
        let mut real = std::ptr::null_mut();
        // SAFETY: it is SoftHSM, and it stays loaded.
        let real = unsafe {
            let library = Box::leak(Box::new(Pkcs11::new(path).unwrap()));
            assert_eq!(library.C_GetFunctionList(&raw mut real), CKR_OK);
            *real
        };
        let mut ours = real;
        intercept(&mut ours);
        ours.C_GetFunctionList = Some(C_GetFunctionList);
        Box::new(Lists { real, ours })
    });
    // SAFETY: the caller gave a place for a pointer.
    unsafe { *list = (&raw const lists.ours).cast_mut() };
    CKR_OK
}
