//! Declares requests and answers: each field once, with the vendor's name.

/// The type of an argument for a field of a kind.
macro_rules! arg {
    (String) => { impl Into<String> };
    (Names) => { impl Into<$crate::Names> };
    (Value) => { impl Into<serde_json::Value> };
    (Vec<$inner:ident>) => { impl Into<Vec<$inner>> };
    // Truth values have several forms on the wire.
    (Flag) => { bool };
    (OneOrTwo) => { bool };
    (OnOff) => { bool };
    (NeedFriend) => { bool };
    ($other:ident) => { $other };
}

/// Declares an object of requests: `Name::constructor`, what it must have, and behind a semicolon what it may have.
macro_rules! fields {
    (
        $(#[$doc:meta])*
        $name:ident::$new:ident {
            $($field:ident: $kind:ident $(<$inner:ident>)? = $wire:literal $(with $with:literal)?,)*
            $(;
                $($(#[$opt_doc:meta])* $opt:ident: $opt_kind:ident $(<$opt_inner:ident>)? = $opt_wire:literal,)+
            )?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $name {
            $(
                #[serde(rename = $wire $(, serialize_with = $with)?)]
                $field: $kind $(<$inner>)?,
            )*
            $($(
                #[serde(rename = $opt_wire, skip_serializing_if = "Option::is_none")]
                $opt: Option<$opt_kind $(<$opt_inner>)?>,
            )+)?
        }

        impl $name {
            #[doc = concat!("With what has to be there", $(", `", $wire, "`",)* ".")]
            #[must_use]
            pub fn $new($($field: arg!($kind $(<$inner>)?)),*) -> Self {
                Self {
                    $($field: $field.into(),)*
                    $($($opt: None,)+)?
                }
            }

            $($(
                $(#[$opt_doc])*
                #[doc = concat!("\n\n`", $opt_wire, "`.")]
                #[must_use]
                pub fn $opt(mut self, $opt: arg!($opt_kind $(<$opt_inner>)?)) -> Self {
                    self.$opt = Some($opt.into());
                    self
                }
            )+)?
        }
    };
}

/// Declares a command: the method of the client, which takes a `request` or, where nothing is optional, its `args`; whether it is
/// repeated (`again`) or not (`once`); its request and its answer.
macro_rules! call {
    (
        $(#[$doc:meta])*
        $style:ident $method:ident = $service:literal, $command:literal, $again:ident -> $response:ty;
        $(@complete $complete:path;)?
        $(@decides $decides:literal;)?
        $name:ident::$new:ident {
            $($field:ident: $kind:ident $(<$inner:ident>)? = $wire:literal $(with $with:literal)?,)*
            $(; $($optional:tt)+)?
        }
    ) => {
        fields! {
            #[doc = concat!("The request of [`Client::", stringify!($method), "`](crate::Client::", stringify!($method), ").")]
            $name::$new {
                $($field: $kind $(<$inner>)? = $wire $(with $with)?,)*
                $(; $($optional)+)?
            }
        }

        impl $crate::Request for $name {
            const SERVICE: &'static str = $service;
            const COMMAND: &'static str = $command;
            const IS_REPEATABLE: bool = call!(@again $again);
            $(const DECIDES: Option<&'static str> = Some($decides);)?
            type Response = $response;

            $(fn complete(&mut self, random: u32) {
                $complete(self, random);
            })?
        }

        call! {
            @$style [$(#[$doc])* #[doc = concat!("\n\n`", $service, "/", $command, "`. Fails as [`Client::request`](crate::Client::request).")]]
            $method, $name, $new, $response, $($field: $kind $(<$inner>)?,)*
        }
    };
    (@again again) => { true };
    (@again once) => { false };
    (
        @args [$(#[$doc:meta])*] $method:ident, $name:ident, $new:ident, $response:ty,
        $($field:ident: $kind:ident $(<$inner:ident>)?,)*
    ) => {
        impl $crate::Client {
            $(#[$doc])*
            pub async fn $method(&self, $($field: arg!($kind $(<$inner>)?)),*) -> Result<$response, $crate::Error> {
                self.request($name::$new($($field),*)).await
            }
        }
    };
    (@request [$(#[$doc:meta])*] $method:ident, $name:ident, $new:ident, $response:ty, $($rest:tt)*) => {
        impl $crate::Client {
            $(#[$doc])*
            pub async fn $method(&self, request: $name) -> Result<$response, $crate::Error> {
                self.request(request).await
            }
        }
    };
}

/// Declares an object of answers. What is missing in an answer has its default.
macro_rules! answer {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty = $wire:literal $(with $with:literal)?,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
        #[serde(default)]
        #[non_exhaustive]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[serde(rename = $wire $(, deserialize_with = $with)?)]
                pub $field: $ty,
            )*
        }
    };
}

/// Declares values that have names on the wire. Unknown names are kept.
macro_rules! names {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $wire:literal $(or $alias:literal)?,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[$variant_doc])*
                #[serde(rename = $wire $(, alias = $alias)?)]
                $variant,
            )+
            /// Another name; empty if there was none.
            #[serde(untagged)]
            Other(String),
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Other(String::new())
            }
        }
    };
}
