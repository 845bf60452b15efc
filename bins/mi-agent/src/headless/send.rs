//! `mi-agent send`: sends lines to one user and exits.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use mi_agent_core::{
    Agent, AgentBuilder, ConversationError, LineReceiver, LineSender, PeerText, StartError, safe_text,
};
use mi_proto::split_line;
use plumi_proto::MiAddress;
use standard_streams::{BackgroundWriter, Stderr, Stdout, stderr};
use tokio::time;

use super::attempts::{Attempts, Keep, Wait};
use super::company::Company;
use super::outbox;
use super::progress::Progress;
use super::source::Source;
use crate::logging::Diagnostics;
use crate::misuse::Misuse;
use crate::options::given::GivenOptions;
use crate::options::settings::Settings;
use crate::printed_lines::PrintedLines;
use crate::reason::{self, Reason};
use crate::signals::{Ending, HURRY, LAST_WORDS, Signals};
use crate::typed_lines::TypedLines;
use crate::{exit, start};

/// Say something to somebody, for scripts: register, call, send, end, deregister
///
/// What TO answers meanwhile is printed, and nothing else, unless something fails.
#[derive(Debug, Args)]
// Every caller meanwhile is told that the user is busy, so no conversation gives way.
#[command(after_help = HELP, mut_arg("idle", |idle| idle.hide(true)))]
pub(crate) struct SendArgs {
    /// Your own address, user@domain, also if the settings have one: scripts have users of their own. A chat
    /// of the same address here cannot be called until this is sent
    #[arg(long, value_name = "ADDRESS")]
    from: MiAddress,

    /// Who is to hear it, user@domain
    to: MiAddress,

    /// Try again while TO is busy, offline or does not answer, until it is sent or this time is over: 90s,
    /// 10m, 2h
    #[arg(long, value_name = "DURATION")]
    wait: Option<Wait>,

    /// Call nobody, but keep the whole text as one message, and print its id. An agent of your address that
    /// runs, a chat, `listen` or `up`, delivers it once TO is there, within 72 hours or this time, 1h to 30d
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "72h", conflicts_with = "wait")]
    later: Option<Keep>,

    /// What to say, several lines one by one [default, or if it is -: what stdin says, line by line]
    text: Option<String>,

    #[command(flatten)]
    options: GivenOptions,
}

/// Runs the subcommand. An empty input calls nobody and is no failure.
///
/// The output of a check can therefore be piped here, and is sent only if the check reports something.
///
/// # Errors
/// A [`Misuse`], and those of [`start::run`].
pub(crate) fn run(args: SendArgs) -> anyhow::Result<ExitCode> {
    let SendArgs { from, to, wait, later, text, options } = args;
    let settings = Settings::load(Some(from), &options)?.without_default_log();
    if to == from {
        return Err(Misuse::of("send", "TO is your own address").into());
    }
    if let Some(Keep(keep)) = later {
        return outbox::leave(from, to, text.filter(|text| text != "-"), keep, settings.security);
    }
    let source = match text.filter(|text| text != "-") {
        Some(text) => {
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            for (line, number) in lines.iter().zip(1..) {
                if let Err(error) = split_line(line) {
                    let reason = format!("TEXT cannot be sent: line {number} {error}");
                    return Err(Misuse::of("send", reason).into());
                }
            }
            Source::Text(lines.into_iter())
        }
        None => {
            if io::stdin().is_terminal() {
                // Nobody needs the hint if there is no stderr.
                _ = writeln!(stderr(), "mi-agent: type what to send; Ctrl-D ends it");
            }
            Source::Stdin(TypedLines::start())
        }
    };
    let delivery = Delivery {
        from,
        to,
        source,
        wait,
        refresh: settings.refresh.0,
        stage: Stage::Preparing,
        progress: Progress::default(),
        answers: PrintedLines::on_stdout(),
        complaints: PrintedLines::on_stderr(),
    };
    let (diagnostics, ending) = (Diagnostics::Stderr, Ending::of_lines());
    start::run(&settings, from, diagnostics, ending, async |builder, signals| {
        delivery.run(builder, signals).await
    })
}

struct Delivery {
    from: MiAddress,
    to: MiAddress,
    source: Source,
    wait: Option<Wait>,
    refresh: Option<Duration>,
    stage: Stage,
    progress: Progress,
    answers: PrintedLines<BackgroundWriter<Stdout>>,
    complaints: PrintedLines<BackgroundWriter<Stderr>>,
}

/// The progress of a delivery, for the message after an interrupt.
enum Stage {
    Preparing,
    Calling,
    Talking,
}

/// The reason why not everything was sent, and the exit code for it.
struct Failure {
    text: String,
    code: ExitCode,
    /// Nothing was sent, and another attempt may succeed.
    may_pass: bool,
    /// A line that says what may help.
    hint: Option<String>,
}

impl Failure {
    fn for_good(text: String, code: ExitCode) -> Self {
        Self { text, code, may_pass: false, hint: None }
    }
}

/// The end of a conversation.
#[derive(Default)]
struct End {
    lost: Option<String>,
    /// The peer knows another key for this user.
    is_key_refused: bool,
    /// The peer wants calls that are more secure.
    is_below_level: bool,
    /// The number of frames that were not sent.
    unsent: usize,
    /// The last line of the peer.
    last_words: Option<PeerText>,
    /// The error of printing the answers. Sending matters more and goes on.
    printed: Option<io::Error>,
}

impl Delivery {
    /// # Errors
    /// Answers cannot be printed. Everything else went well.
    async fn run(mut self, builder: AgentBuilder, signals: &mut Signals) -> io::Result<ExitCode> {
        // The first line may take long to come, and the user should not be busy until then.
        let first = tokio::select! {
            first = self.source.next() => first,
            () = signals.next() => {
                let interrupted = self.interrupted();
                return Ok(self.fail(interrupted, signals).await);
            }
        };
        let Some(first) = first else {
            let Some(failure) = self.source.failure() else { return Ok(ExitCode::from(exit::WELL)) };
            let failure = Failure::for_good(failure, ExitCode::from(exit::FAILURE));
            return Ok(self.fail(failure, signals).await);
        };
        let mut company = Company::join(&self.from).await;
        let builder = company.builder(builder, self.refresh);
        // The time of the wait begins with something to say.
        let mut attempts = Attempts::within(self.wait);
        let agent = match self.register(builder, &mut attempts, signals).await {
            Ok(agent) => agent,
            Err(code) => return Ok(code),
        };
        let delivered = tokio::select! {
            delivered = self.deliver(&agent, &first, &mut attempts) => Some(delivered),
            () = signals.next() => None,
        };
        let Some(delivered) = delivered else {
            let interrupted = self.interrupted();
            self.complaints.hurry(HURRY + LAST_WORDS);
            let deregistered = company.leave_within(&agent, HURRY).await;
            let code = self.fail(interrupted, signals).await;
            if let Err(error) = deregistered {
                self.complain(format!("cannot deregister {}: {error}", self.from), signals).await;
            }
            return Ok(code);
        };
        let (failed, printed) = match delivered {
            Ok(printed) => (None, printed),
            Err(failure) => (Some(self.fail(failure, signals).await), None),
        };
        let deregistered = tokio::select! {
            deregistered = company.leave(&agent) => deregistered,
            () = signals.next() => company.leave_within(&agent, HURRY).await,
        };
        let code = match deregistered {
            Ok(()) => failed,
            Err(error) => {
                self.complain(format!("cannot deregister {}: {error}", self.from), signals).await;
                failed.or(Some(exit::of_deregistration(&error)))
            }
        };
        match (code, printed) {
            (Some(code), _) => Ok(code),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(ExitCode::from(exit::WELL)),
        }
    }

    /// Registers, and tries again as long as the node does not answer and there is time. Returns the exit
    /// code if that fails.
    async fn register(
        &mut self,
        builder: AgentBuilder,
        attempts: &mut Attempts,
        signals: &mut Signals,
    ) -> Result<Agent, ExitCode> {
        // The events are dropped, so callers are answered that the user is busy.
        loop {
            let error = match builder.clone().start_unless(signals.next(), HURRY).await {
                Ok((agent, _)) => return Ok(agent),
                Err(error) => error,
            };
            let is_again = tokio::select! {
                is_again = attempts.next(), if may_pass(&error) => is_again,
                () = signals.next(), if may_pass(&error) => {
                    let interrupted = self.interrupted();
                    return Err(self.fail(interrupted, signals).await);
                }
                else => false,
            };
            if is_again {
                continue;
            }
            if matches!(error, StartError::Interrupted) {
                self.complaints.hurry(LAST_WORDS);
            }
            let text = format!("cannot register {}: {}", self.from, reason::of_start(&self.from, &error));
            let hint = reason::hint_for_start(&self.from, &error);
            let failure = Failure { hint, ..Failure::for_good(text, exit::of_start(&error)) };
            return Err(self.fail(failure, signals).await);
        }
    }

    /// Delivers as [`Delivery::attempt`] does, and tries again as long as that may succeed and there is time.
    async fn deliver(
        &mut self,
        agent: &Agent,
        first: &str,
        attempts: &mut Attempts,
    ) -> Result<Option<io::Error>, Failure> {
        loop {
            self.stage = Stage::Calling;
            match self.attempt(agent, first).await {
                Err(failure) if failure.may_pass && attempts.next().await => {}
                delivered => return delivered,
            }
        }
    }

    /// Calls, sends `first` and the lines after it, and ends the conversation. Returns the error of printing
    /// the answers, if there was one.
    async fn attempt(&mut self, agent: &Agent, first: &str) -> Result<Option<io::Error>, Failure> {
        let talk = match agent.call(self.to).await {
            Ok(talk) => talk,
            Err(error) => {
                let text = format!("cannot reach {}: {}", self.to, reason::of_call(&error));
                let hint = reason::hint_for_script(&self.from, &self.to, &error);
                return Err(Failure {
                    text,
                    code: exit::of_call(&error),
                    may_pass: error.is_transient(),
                    hint,
                });
            }
        };
        self.stage = Stage::Talking;
        let (peer, sender, receiver) = talk.split();
        let mut hearing = pin!(hear(receiver, &peer.nickname, &mut self.answers));
        tokio::select! {
            end = &mut hearing => return Err(ended_at_once(&self.from, &self.to, &end)),
            () = time::sleep(SETTLE) => {}
        }
        let saying =
            say_all(first.to_owned(), &mut self.source, &sender, &mut self.progress, &mut self.complaints);
        // Both run at the same time: answers are printed while lines are sent.
        let (is_at_end, end) = tokio::select! {
            biased;
            is_at_end = saying => (is_at_end, None),
            end = &mut hearing => (false, Some(end)),
        };
        drop(sender);
        let end = match end {
            Some(end) => end,
            None => hearing.await,
        };
        if self.progress.is_nothing_sent(end.unsent) {
            // Its words took longer to come. The line is no longer at hand for another attempt.
            return Err(Failure { may_pass: false, ..ended_at_once(&self.from, &self.to, &end) });
        }
        let unread = self.source.failure();
        let reason = match &end.lost {
            Some(reason) => reason,
            None if !is_at_end || end.unsent > 0 => "the other side ended the conversation",
            None => match &unread {
                Some(unread) => unread,
                None if self.progress.skipped() > 0 => "what no line may have in it was left out",
                None => return Ok(end.printed),
            },
        };
        let (sent, left) = self.progress.sent_and_not(end.unsent);
        let (left, rest) = match &self.source {
            Source::Text(lines) => (left + lines.len(), ""),
            Source::Stdin(_) if is_at_end && unread.is_none() => (left, ""),
            Source::Stdin(_) => (left, " and the rest of stdin"),
        };
        let text =
            format!("sending to {} failed: {reason}; lines sent: {sent}, not sent: {left}{rest}", self.to);
        Err(Failure::for_good(text, ExitCode::from(exit::FAILURE)))
    }

    fn interrupted(&self) -> Failure {
        let text = match self.stage {
            Stage::Preparing => format!("cannot register {}: interrupted", self.from),
            Stage::Calling => format!("cannot reach {}: interrupted", self.to),
            Stage::Talking => format!("sending to {} failed: interrupted", self.to),
        };
        Failure::for_good(text, ExitCode::from(exit::FAILURE))
    }

    async fn fail(&mut self, failure: Failure, signals: &mut Signals) -> ExitCode {
        if let Some(hint) = failure.hint {
            self.complaints.push(&format!("! {}", safe_text(&failure.text)));
            self.complaints.push(&format!("* {hint}"));
            // The exit code still reports the outcome if there is no stderr.
            tokio::select! {
                _ = self.complaints.print() => {}
                () = signals.next() => {}
            }
            return failure.code;
        }
        self.complain(failure.text, signals).await;
        failure.code
    }

    async fn complain(&mut self, text: String, signals: &mut Signals) {
        tokio::select! {
            // The exit code still reports the outcome if there is no stderr.
            _ = async { self.complaints.failure(format_args!("{text}")).await } => {}
            () = signals.next() => {}
        }
    }
}

/// Returns whether another attempt to register may succeed: the node does not answer, or the network is down.
fn may_pass(error: &StartError) -> bool {
    matches!(error, StartError::NoAnswer { .. } | StartError::Unreachable { .. })
}

/// The failure of a call that its callee ended at once: one that became busy after it was located, that knows
/// another key for the user at `from`, or that wants calls to be more secure.
fn ended_at_once(from: &MiAddress, to: &MiAddress, end: &End) -> Failure {
    if end.is_key_refused {
        let text = format!("cannot reach {to}: {}", reason::of_own_key(from));
        let hint = Some(reason::script_hint_for_own_key(from));
        return Failure { hint, ..Failure::for_good(text, ExitCode::from(exit::KEY_CHANGED)) };
    }
    if let Some(reason) = &end.lost {
        let text = format!("cannot reach {to}: {reason}");
        return Failure::for_good(text, ExitCode::from(exit::FAILURE));
    }
    let words =
        end.last_words.as_ref().map_or_else(String::new, |words| format!(", with the words: {words}"));
    let text = format!("cannot reach {to}: the call was ended at once{words}");
    if end.is_below_level {
        return Failure::for_good(text, ExitCode::from(exit::NOT_SECURE));
    }
    Failure { text, code: ExitCode::from(exit::BUSY), may_pass: true, hint: None }
}

/// Hands over `first` and the lines after it. Returns `false` if the conversation ended before that.
async fn say_all(
    first: String,
    source: &mut Source,
    sender: &LineSender,
    progress: &mut Progress,
    complaints: &mut PrintedLines<BackgroundWriter<Stderr>>,
) -> bool {
    let mut next = Some(first);
    while let Some(line) = next {
        match split_line(&line) {
            Ok(pieces) => {
                progress.begin();
                for piece in pieces {
                    if sender.send(piece.as_str()).await.is_err() {
                        return false;
                    }
                    progress.handed_over();
                }
                progress.end();
            }
            Err(error) => {
                let number = progress.skip();
                // The exit code still reports the outcome if there is no stderr.
                _ = complaints.failure(format_args!("not sent: line {number} {error}")).await;
            }
        }
        next = source.next().await;
    }
    true
}

/// Prints the peer's lines until the conversation has ended.
async fn hear(
    mut receiver: LineReceiver,
    nickname: &PeerText,
    answers: &mut PrintedLines<BackgroundWriter<Stdout>>,
) -> End {
    let mut end = End::default();
    loop {
        let heard = receiver.next_line().await;
        end.is_below_level |= matches!(&heard, Err(error) if error.is_about_security());
        match heard {
            Ok(Some(line)) => {
                if end.printed.is_none() {
                    end.printed = answers.said(nickname, &line).await.err();
                }
                end.last_words = Some(line);
            }
            Ok(None) => return end,
            Err(error) if error.is_about_key() => end.is_key_refused = true,
            Err(ConversationError::Refused(words)) => {
                if end.printed.is_none() {
                    end.printed = answers.said(nickname, &words).await.err();
                }
                end.last_words = Some(words);
            }
            Err(ConversationError::Unsent(frames)) => end.unsent = frames,
            Err(error) => end.lost = Some(Reason(&error).to_string()),
        }
    }
}

/// The least duration of a conversation before lines are sent.
///
/// An agent that became busy after it was located says so 20 ms after its nickname, and ends the call. This
/// adds a round trip around the world.
const SETTLE: Duration = Duration::from_millis(250);

const HELP: &str = "\
Without anything to say nobody is called, and nothing is printed. A TEXT that begins with - goes after --.

Exit codes:
  0 sent, or nothing to send   1 other failure, also when not everything was sent   2 misuse
  3 no such user   4 user offline   5 domain not found   6 node does not answer   7 busy or refused
  8 not as secure as it must be, here or there   9 another key than the one that is known; --wait does not wait after 8 and 9

Examples:
  mi-agent send --from backup@bb.com joya@cc.com 'the backup is done'
  df -h / | mi-agent send --from backup@bb.com joya@cc.com
  mi-agent send --from backup@bb.com --wait 10m joya@cc.com 'the backup is done'";
