//! Enumerations of a few words: the type, its words in JSON and their meaning in the JSON Schema from one table.

/// Defines an enumeration whose variants each have a word. The first is the default.
macro_rules! choices {
    (
        $(#[$doc:meta])*
        $name:ident {
            $(#[$first_doc:meta])* $first:ident = $first_word:tt
            $(, $(#[$variant_doc:meta])* $variant:ident = $word:tt)* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, schemars::JsonSchema)]
        #[schemars(inline)]
        pub enum $name {
            $(#[$first_doc])*
            #[default]
            #[serde(rename = $first_word)]
            $first,
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The word for it in a spec.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl $crate::spec::reader::Choice for $name {
            const ALL: &'static [Self] = &[Self::$first, $(Self::$variant),*];
            fn word(self) -> &'static str {
                self.as_str()
            }
        }
    };
}
pub(super) use choices;
