//! What a row of the facade's tables is in this language.

/// A class, more methods of one, or a function: see `bindings/shared/src/table.rs`.
macro_rules! table {
    ($(#[$doc:meta])* class $class:ident[$($inner:tt)+] as $this:ident { $($rows:tt)* }) => {
        #[wasm_bindgen]
        pub struct $class(pub(crate) $($inner)+);

        impl<'a> Given for &'a $class {
            type Plain = &'a $($inner)+;
            fn plain(self) -> Plainly<Self::Plain> {
                Ok(&self.0)
            }
        }

        impl Shown for $($inner)+ {
            type Js = $class;
            fn shown(self) -> $class {
                $class(self)
            }
        }

        table! { extend $class as $this { $($rows)* } }
    };
    (extend $class:ident as $this:ident {
        $(new($($new_arg:ident: $(&$new_class:ident)? $($new_kind:ident)?),*) $new:block)?
        $(static $make:ident $(= $make_js:literal)? (
            $($make_arg:ident: $(&$make_class:ident)? $($make_kind:ident)?),*
        ) -> [$($made:tt)+] $make_body:block)*
        $(fn $name:ident $(= $js:literal)? (
            $($arg:ident: $(&$arg_class:ident)? $($kind:ident)?),*
        ) -> [$($shown:tt)+] $body:block)*
    }) => {
        #[wasm_bindgen]
        impl $class {
            $(
                #[wasm_bindgen(constructor)]
                pub fn new($($new_arg: $(&$new_class)? $($new_kind)?),*) -> Result<Self> {
                    answered(|| {
                        $(let $new_arg = $new_arg.plain()?;)*
                        $new
                    })
                }
            )?
            $(
                $(#[wasm_bindgen(js_name = $make_js)])?
                pub fn $make($($make_arg: $(&$make_class)? $($make_kind)?),*) -> Result<$($made)+> {
                    answered(|| {
                        $(let $make_arg = $make_arg.plain()?;)*
                        $make_body
                    })
                }
            )*
            $(
                $(#[wasm_bindgen(js_name = $js)])?
                pub fn $name(&self, $($arg: $(&$arg_class)? $($kind)?),*) -> Result<$($shown)+> {
                    let $this = &self.0;
                    answered(|| {
                        $(let $arg = $arg.plain()?;)*
                        $body
                    })
                }
            )*
        }
    };
    (fn $name:ident $(= $js:literal)? (
        $($arg:ident: $(&$arg_class:ident)? $($kind:ident)?),*
    ) -> [$($shown:tt)+] $body:block) => {
        #[wasm_bindgen($(js_name = $js)?)]
        pub fn $name($($arg: $(&$arg_class)? $($kind)?),*) -> Result<$($shown)+> {
            answered(|| {
                        $(let $arg = $arg.plain()?;)*
                        $body
                    })
        }
    };
}
