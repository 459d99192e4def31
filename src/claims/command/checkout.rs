//! `sandbar checkout`.

use super::exec::{NOT_RUN, print, shell_text, time_limit};
use super::gateway::EntryArgs;
use super::names;
use crate::agent::wire::ExecRequest;
use crate::api::Span;
use crate::console::is_safe;
use crate::failure::Failure;
use crate::telemetry::secret::Secret;
use clap_complete::engine::ArgValueCandidates;
use reqwest::Url;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Holds the token where no flag names a file.
const TOKEN: &str = "SANDBAR_GIT_TOKEN";
/// Variables of the one git process that asks for them. Nothing of the repository runs in a clone, and no hook or filter
/// of the sandbox's own.
const TOKEN_THERE: &str = "SANDBAR_GIT_TOKEN_THERE";
/// The user that goes with it.
const USER_THERE: &str = "SANDBAR_GIT_USER_THERE";

/// Check out a git repository in a sandbox, which needs git in its image.
///
/// A token is read from a file or from SANDBAR_GIT_TOKEN, and given to that one git process: it stands neither in the
/// clone's address nor in a file of the sandbox, so whoever works there later cannot read it. A later fetch asks again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the run
    #[arg(add = ArgValueCandidates::new(names::waking_runs))]
    id: String,
    /// Address of the repository
    #[arg(value_parser = address)]
    repository: Url,
    /// Folder to make; below /workspace when it does not begin with a slash. The repository's name if not given
    directory: Option<String>,
    /// Branch or tag, instead of the repository's own choice
    #[arg(long, value_name = "NAME", value_parser = reference)]
    branch: Option<String>,
    /// Newest commits to get; 0 for all
    #[arg(long, value_name = "N", default_value_t = 1)]
    depth: u32,
    /// File that holds the token, - for standard input; SANDBAR_GIT_TOKEN otherwise
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// User name that goes with the token
    #[arg(long, value_name = "NAME", default_value = "x-access-token", value_parser = user)]
    user: String,
    /// How long it may take, at most 24h
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = time_limit)]
    timeout: Span,
    #[command(flatten)]
    entry: EntryArgs,
}

fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write https://host/path"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("only https and http are taken: write https://host/path".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        // Git would keep it in the clone's configuration.
        return Err(format!("give a user or a token with --user and --token-file or {TOKEN}, not in the address"));
    }
    Ok(url)
}

fn user(text: &str) -> Result<String, String> {
    match text.is_empty() || text.chars().any(char::is_control) {
        true => Err("write a name of one line".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn reference(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("write the name of a branch or a tag".to_owned());
    }
    Ok(text.to_owned())
}

/// Checks out.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let token = token(args.token_file.as_deref()).map_err(|failure| failure.code(NOT_RUN))?;
    let request = request(&args, token.as_ref()).map_err(|failure| failure.code(NOT_RUN))?;
    let agent = args.entry.enter(&args.id).await.map_err(|failure| failure.code(NOT_RUN))?;
    print(&agent, &request, args.timeout).await
}

/// What the sandbox is asked to run.
fn request(args: &Args, token: Option<&Secret<String>>) -> Result<ExecRequest, Failure> {
    let mut words = vec!["git".to_owned(), "-c".to_owned(), "credential.helper=".to_owned()];
    if token.is_some() {
        if !is_safe(&args.repository) {
            return Err(
                Failure::new(format!("{} would send the token in the clear", args.repository)).advice("write https://")
            );
        }
        // For this origin alone: a redirect elsewhere gets nothing.
        let origin = args.repository.origin().ascii_serialization();
        let helper = format!(
            r#"!f() {{ test "$1" != get || printf 'username=%s\npassword=%s\n' "${USER_THERE}" "${TOKEN_THERE}"; }}; f"#
        );
        words.extend(["-c".to_owned(), format!("credential.{origin}.helper={helper}")]);
    }
    words.extend(["clone", "--quiet", "--template="].map(str::to_owned));
    if args.depth > 0 {
        words.push(format!("--depth={}", args.depth));
    }
    words.extend(args.branch.iter().map(|branch| format!("--branch={branch}")));
    words.extend(["--".to_owned(), args.repository.to_string()]);
    words.extend(args.directory.clone());
    let mut request = ExecRequest::new(shell_text(&words)?).timeout(args.timeout.duration().as_secs());
    // Nobody is there to be asked.
    request = request.env("GIT_TERMINAL_PROMPT", "0");
    if let Some(token) = token {
        request = request.env(USER_THERE, &args.user).env(TOKEN_THERE, token.expose());
        // What ran there before may have left hooks and filters, which would see the token.
        request = request.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    }
    Ok(request)
}

fn token(file: Option<&Path>) -> Result<Option<Secret<String>>, Failure> {
    let Some(file) = file else {
        let text = std::env::var(TOKEN).unwrap_or_default();
        return if text.is_empty() { Ok(None) } else { checked(&text, TOKEN).map(Some) };
    };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    let name = format!("--token-file {}", file.display());
    read.map_err(|error| Failure::new(format!("{name}: {error}")))?;
    checked(&text, &name).map(Some)
}

/// Git's helpers speak in lines.
fn checked(text: &str, source: &str) -> Result<Secret<String>, Failure> {
    let token = text.trim();
    if token.is_empty() || token.chars().any(char::is_control) {
        return Err(Failure::new(format!("{source} does not hold a token")).advice("it is one line that is not empty"));
    }
    Ok(Secret::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    fn typed(words: &[&str]) -> Result<Args, String> {
        let words = ["checkout", "run-1"].iter().chain(words);
        Typed::try_parse_from(words).map(|typed| typed.args).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_stands_in_no_word_that_git_keeps_or_shows() {
        let args = typed(&["https://git.example/a/b.git", "here", "--branch", "v1", "--user", "ada"]).expect("words");
        let request = request(&args, Some(&Secret::new("hush".to_owned()))).expect("a request");
        assert!(!request.command.contains("hush") && !request.command.contains("ada"), "{}", request.command);
        let words = shlex::split(&request.command).expect("words");
        assert_eq!(words[..3], ["git", "-c", "credential.helper="]);
        assert!(words[4].starts_with("credential.https://git.example.helper=!f()"), "{}", words[4]);
        let rest = [
            "clone",
            "--quiet",
            "--template=",
            "--depth=1",
            "--branch=v1",
            "--",
            "https://git.example/a/b.git",
            "here",
        ];
        assert_eq!(words[5..], rest);
        let env = request.env.expect("variables");
        assert_eq!((env["GIT_CONFIG_GLOBAL"].as_str(), env["GIT_CONFIG_NOSYSTEM"].as_str()), ("/dev/null", "1"));
        assert_eq!((env[USER_THERE].as_str(), env[TOKEN_THERE].as_str()), ("ada", "hush"));
    }

    #[test]
    fn bad_input_is_refused_by_name() {
        for (words, said) in [
            (&["git@github.com:a/b"][..], "write https://host/path"),
            (&["file:///etc"], "only https and http"),
            (&["https://me:hush@git.example/a"], "--token-file or SANDBAR_GIT_TOKEN, not in the address"),
            (&["https://git.example/a?token=hush"], "not in the address"),
            (&["https://git.example/a", "--branch=--upload-pack=x"], "write the name of a branch"),
            (&["https://git.example/a", "--user", "a\npassword=b"], "a name of one line"),
            (&["https://git.example/a", "--timeout", "25h"], "at most 24h"),
        ] {
            let refused = typed(words).err().unwrap_or_default();
            assert!(refused.contains(said), "{words:?}: {refused}");
        }
        let open = typed(&["http://git.example/a"]).expect("words");
        assert!(request(&open, None).is_ok());
        let refused = request(&open, Some(&Secret::new("hush".to_owned()))).expect_err("in the clear").to_string();
        assert!(refused.contains("http://git.example/a") && !refused.contains("hush"), "{refused}");
        for bad in ["", " \n", "a\nb"] {
            assert!(checked(bad, "SANDBAR_GIT_TOKEN").expect_err("bad").to_string().contains("does not hold a token"));
        }
        assert_eq!(checked("hush\n", TOKEN).expect("a token").expose(), "hush");
    }
}
