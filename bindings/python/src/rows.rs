//! What a row of the facade's tables is in this language.

/// A class, more methods of one, or a function: see `bindings/shared/src/table.rs`.
macro_rules! table {
    ($(#[$doc:meta])* class $class:ident[$($inner:tt)+] as $this:ident { $($rows:tt)* }) => {
        $(#[$doc])*
        #[pyclass(frozen, module = "keybound._keybound")]
        pub(crate) struct $class(pub(crate) $($inner)+);

        impl<'a> Given for &'a $class {
            type Plain = &'a $($inner)+;
            fn plain(self) -> Self::Plain {
                &self.0
            }
        }

        impl Shown for $($inner)+ {
            type Py = $class;
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
        #[pymethods]
        impl $class {
            $(
                #[new]
                fn new(py: Python<'_>, $($new_arg: $(&$new_class)? $($new_kind)?),*) -> PyResult<Self> {
                    answered(py, || {
                        $(let $new_arg = $new_arg.plain();)*
                        $new
                    })
                }
            )?
            $(
                #[staticmethod]
                fn $make(py: Python<'_>, $($make_arg: $(&$make_class)? $($make_kind)?),*) -> PyResult<$($made)+> {
                    answered(py, || {
                        $(let $make_arg = $make_arg.plain();)*
                        $make_body
                    })
                }
            )*
            $(
                fn $name(&self, py: Python<'_>, $($arg: $(&$arg_class)? $($kind)?),*) -> PyResult<$($shown)+> {
                    let $this = &self.0;
                    answered(py, || {
                        $(let $arg = $arg.plain();)*
                        $body
                    })
                }
            )*
        }
    };
    (fn $name:ident $(= $js:literal)? (
        $($arg:ident: $(&$arg_class:ident)? $($kind:ident)?),*
    ) -> [$($shown:tt)+] $body:block) => {
        #[pyfunction]
        #[allow(clippy::too_many_arguments, reason = "one for each part of a request, and the interpreter")]
        fn $name(py: Python<'_>, $($arg: $(&$arg_class)? $($kind)?),*) -> PyResult<$($shown)+> {
            answered(py, || {
                        $(let $arg = $arg.plain();)*
                        $body
                    })
        }
    };
}
