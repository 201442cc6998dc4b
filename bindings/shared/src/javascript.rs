//! What a row of the tables is in JavaScript, for the addon and for WASM, whose attributes have the same arguments.

/// A class, more methods of one, or a function, with `attribute` (`napi` or `wasm_bindgen`): see `table.rs`. `Given`, `Shown`, `Plainly`,
/// `Result` and `answered` are those of the crate that uses it.
#[macro_export]
macro_rules! javascript {
    ($attribute:ident; $(#[$doc:meta])* class $class:ident[$($inner:tt)+] as $this:ident { $($rows:tt)* }) => {
        #[$attribute]
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

        $crate::javascript! { $attribute; extend $class as $this { $($rows)* } }
    };
    ($attribute:ident; extend $class:ident as $this:ident {
        $(new($($new_arg:ident: $(&$new_class:ident)? $($new_kind:ident)?),*) $new:block)?
        $(static $make:ident $(= $make_js:literal)? (
            $($make_arg:ident: $(&$make_class:ident)? $($make_kind:ident)?),*
        ) -> [$($made:tt)+] $make_body:block)*
        $(fn $name:ident $(= $js:literal)? (
            $($arg:ident: $(&$arg_class:ident)? $($kind:ident)?),*
        ) -> [$($shown:tt)+] $body:block)*
    }) => {
        #[$attribute]
        impl $class {
            $(
                #[$attribute(constructor)]
                pub fn new($($new_arg: $(&$new_class)? $($new_kind)?),*) -> Result<Self> {
                    answered(|| {
                        $(let $new_arg = $new_arg.plain()?;)*
                        $new
                    })
                }
            )?
            $(
                #[$attribute($(js_name = $make_js)?)]
                pub fn $make($($make_arg: $(&$make_class)? $($make_kind)?),*) -> Result<$($made)+> {
                    answered(|| {
                        $(let $make_arg = $make_arg.plain()?;)*
                        $make_body
                    })
                }
            )*
            $(
                #[$attribute($(js_name = $js)?)]
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
    ($attribute:ident; fn $name:ident $(= $js:literal)? (
        $($arg:ident: $(&$arg_class:ident)? $($kind:ident)?),*
    ) -> [$($shown:tt)+] $body:block) => {
        #[$attribute($(js_name = $js)?)]
        pub fn $name($($arg: $(&$arg_class)? $($kind)?),*) -> Result<$($shown)+> {
            answered(|| {
                        $(let $arg = $arg.plain()?;)*
                        $body
                    })
        }
    };
}
