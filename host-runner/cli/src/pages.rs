//! Writes the command's manual pages and completions for shells into a folder, laid out as `/usr/share` is. For those who
//! ship the command.

use std::path::PathBuf;
use std::{env, fs, io};

use clap::Command;
use clap_complete::Shell;

/// A manual page has all options, also those that only the long help has.
fn in_full(command: Command) -> Command {
    let command = command.mut_args(|argument| argument.hide_short_help(false));
    command.mut_subcommands(in_full)
}

fn main() -> io::Result<()> {
    let share = env::args_os().nth(1).map(PathBuf::from);
    let share = share.ok_or_else(|| io::Error::other("usage: pages FOLDER"))?;
    let manual = share.join("man/man1");
    fs::create_dir_all(&manual)?;
    clap_mangen::generate_to(in_full(wasisocket_cli::command()), &manual)?;
    for (shell, folder) in [
        (Shell::Bash, "bash-completion/completions"),
        (Shell::Zsh, "zsh/site-functions"),
        (Shell::Fish, "fish/vendor_completions.d"),
    ] {
        let folder = share.join(folder);
        fs::create_dir_all(&folder)?;
        clap_complete::generate_to(shell, &mut wasisocket_cli::command(), "wasisocket", &folder)?;
    }
    // Where bash looks for it by the name of the command.
    let bash = share.join("bash-completion/completions");
    fs::rename(bash.join("wasisocket.bash"), bash.join("wasisocket"))
}
