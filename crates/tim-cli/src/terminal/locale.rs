//! The language of words: the chosen one, or that of the locale.

use tim_proto::Words;

/// A supported language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Lang {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl Lang {
    /// The language of the locale: Chinese if it is Chinese, else English.
    pub(crate) fn of_environment() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// The first of these variables that is not empty decides.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let said = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(variable)
            .find(|value| !value.is_empty());
        let is_chinese = said.is_some_and(|value| {
            let language = value.split(['_', '.', '@', '-']).next().unwrap_or("");
            language.eq_ignore_ascii_case("zh")
        });
        if is_chinese { Self::Zh } else { Self::En }
    }

    /// The words of the language.
    pub(crate) const fn words(self) -> Words {
        match self {
            Self::Zh => Words::SEED,
            Self::En => Words::ENGLISH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_chinese_only_where_the_locale_is() {
        let lang = |all: &str, messages: &str, lang: &str| {
            Lang::of(|name| match name {
                "LC_ALL" => Some(all.to_owned()),
                "LC_MESSAGES" => Some(messages.to_owned()),
                _ => Some(lang.to_owned()),
            })
        };
        for (all, messages, general, expected) in [
            ("", "", "zh_CN.UTF-8", Lang::Zh),
            ("", "", "zh-TW", Lang::Zh),
            ("", "zh", "en_GB.UTF-8", Lang::Zh),
            ("C", "zh_CN.UTF-8", "zh_CN.UTF-8", Lang::En),
            ("", "en_US.UTF-8", "zh_CN.UTF-8", Lang::En),
            ("", "", "zhx_XX", Lang::En),
            ("", "", "", Lang::En),
        ] {
            assert_eq!(
                lang(all, messages, general),
                expected,
                "{all} {messages} {general}"
            );
        }
        assert_eq!(Lang::of(|_| None), Lang::En);
    }
}
