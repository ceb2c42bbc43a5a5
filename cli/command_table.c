/* The table of commands: one row enters a command in dispatch, --help and bash completion
 * (see cli/command.h). The order is that of recsealctl --help and of the SYNOPSIS of recsealctl(1).
 */
#include "cli/command.h"

#define LIST_OPTIONS                                                                               \
	(OPTION_BIT(OPTION_ACCOUNT) | OPTION_BIT(OPTION_STATE) | OPTION_BIT(OPTION_SINCE) |        \
			OPTION_BIT(OPTION_UNTIL))
#define SHRED_OPTIONS                                                                              \
	(OPTION_BIT(OPTION_DRY_RUN) | OPTION_BIT(OPTION_YES) | OPTION_BIT(OPTION_REASON))
#define MIRROR_OPTIONS                                                                             \
	(OPTION_BIT(OPTION_FILE) | OPTION_BIT(OPTION_TPM2) | OPTION_BIT(OPTION_REASON))

#define SAMPLE "01kaw5q7v3c2m9x0r8t4e6h1zn"

static const char help_status[] =
		"Shows the vault, its assurance label and epoch, recordings and accounts by\n"
		"state, what waits in the spools, for how long recordings lay in plaintext, and\n"
		"warnings.\n";
static const char examples_status[] =
		"  recsealctl status\n"
		"  recsealctl status --json | jq '.spool.oldest_unsealed_s'\n";

static const char help_doctor[] =
		"Checks each spool (owner and mode, access, filesystem and leases, watches, free\n"
		"space, class and profile) and the keeper (root and assurance, what on this\n"
		"machine could keep keys, TPM, free space, clock, roles, what waits). Prints a\n"
		"line for each: first what is fine, then what to change, where and how. Changes\n"
		"nothing.\n"
		"\n"
		"Exit status 0 if everything is fine, 1 if something has to change.\n";
static const char examples_doctor[] =
		"  recsealctl doctor\n"
		"  recsealctl doctor --json | jq -r '.[] | select(.fine | not) | .advice'\n";

static const char help_list[] =
		"Lists recordings, oldest first. Of a destroyed recording only the facts that may\n"
		"outlive a shred are left: its account is shown by the handle. --json prints an\n"
		"array of objects while they arrive, so the list may have any length.\n";
static const char examples_list[] =
		"  recsealctl list --account acme --since 2026-11-01\n"
		"  recsealctl list --state quarantined\n"
		"  recsealctl list --json | jq -r '.[] | select(.condition==\"damaged\") | .id'\n";

static const char help_show[] =
		"Shows one recording, by the id that `recsealctl list` prints. A destroyed one\n"
		"can still be shown, without what its account's key sealed.\n";
static const char examples_show[] = "  recsealctl show " SAMPLE "\n"
				    "  recsealctl show " SAMPLE " --json | jq .expires_at\n";

static const char help_play[] =
		"Writes the original bytes of a recording to standard output (not to a terminal)\n"
		"or to a new file of mode 0600, which appears only when it is complete. Every\n"
		"64 KiB piece is authenticated before it is written. The audit trail keeps who\n"
		"played what, and why.\n"
		"\n"
		"The copy is outside the vault: no shred reaches it.\n";
static const char examples_play[] =
		"  recsealctl play " SAMPLE " --reason 'complaint 8841' | aplay\n"
		"  recsealctl play " SAMPLE " -o call.wav --reason 'access request 17'\n";

static const char help_verify[] =
		"Opens recordings as play does, header and every piece, and writes them nowhere.\n"
		"With --all, every recording that still has its key. Exit status 1 if any is\n"
		"damaged. Without --reason the audit trail says \"" COMMAND_VERIFY_REASON "\".\n"
		"--json prints {checked, ok, bad: [{id, error}]}.\n";
static const char examples_verify[] =
		"  recsealctl verify --all\n"
		"  recsealctl verify " SAMPLE " --reason 'restored from tape'\n"
		"  recsealctl verify --all --json | jq -r '.bad[].id'\n";

static const char help_account_list[] =
		"Lists the accounts of the vault. A deleted account has no name any more, only\n"
		"its handle.\n";
static const char examples_account_list[] = "  recsealctl account list\n"
					    "  recsealctl account list --json | jq -r '.[].name'\n";

static const char help_account_show[] = "Shows one account, by its name or by its handle.\n";
static const char examples_account_show[] =
		"  recsealctl account show acme\n"
		"  recsealctl account show acme --json | jq .recordings\n";

static const char help_account_allow[] =
		"Allows the name of a shredded account again, when the name or the number was\n"
		"given to somebody new. Without this, recordings that arrive for a shredded\n"
		"account go to quarantine for ever. A new account gets the name, with a handle\n"
		"and keys of its own; the shredded one stays on record under its handle, and\n"
		"nothing of it comes back.\n"
		"\n"
		"A recording of the former account that arrives afterwards is sealed for the new\n"
		"one: a recording says no more of its account than the name. So look through the\n"
		"spools first. Give the name exactly as it was; nobody can tell it from a handle.\n"
		"Only officers may do it; the audit log keeps who did, and why.\n";
static const char examples_account_allow[] =
		"  recsealctl account allow 4711 --reason 'extension has a new owner, ticket 88'\n";

static const char help_quarantine_assign[] =
		"Gives a recording from quarantine to the account it belongs to. A recording is\n"
		"in quarantine when it could not be sealed for an account. Its key moves to the\n"
		"account and is erased from where it was: from then on everybody who may play\n"
		"the account's recordings may play this one, and a shred of the account destroys\n"
		"it. Its expiry date stays. The account must exist already.\n"
		"\n"
		"`recsealctl list --state quarantined` shows what is there. Destroy what belongs\n"
		"to nobody with `recsealctl shred recording`.\n";
static const char examples_quarantine_assign[] =
		"  recsealctl quarantine assign " SAMPLE " --account acme --reason 'ticket 4711'\n";

static const char help_shred_account[] =
		"Destroys the keys of an account, and with them all its recordings, its name and\n"
		"its file names. Afterwards copies and backups of the vault's storage no longer\n"
		"open them, as far as the vault's assurance label says.\n"
		"\n"
		"On a terminal it shows the plan and asks for the account's name; elsewhere it\n"
		"needs --yes. It returns when the keys are gone, and prints a statement to file:\n"
		"what was destroyed, and what that does not prove. It cannot be undone.\n"
		"\n"
		"Plan and statement name what the shred does not reach: files of the account that\n"
		"still lie in a spool, unsealed, and spools that could not be looked into.\n";
static const char examples_shred_account[] =
		"  recsealctl shred account acme --dry-run\n"
		"  recsealctl shred account acme --reason 'GDPR 17 request 2026-031'\n"
		"  recsealctl shred account acme --yes --json --reason 'contract ended' "
		"> receipt.json\n";

static const char help_shred_recording[] =
		"Destroys the key of one recording. Afterwards copies and backups of the vault's\n"
		"storage no longer open it, as far as the vault's assurance label says.\n"
		"\n"
		"Plan and statement name the other recordings from the same file of the spool:\n"
		"parts of a call that was paused and resumed, or appended to. --with-parts takes\n"
		"them as well. Plaintext that still lies in the spool is named, too.\n"
		"\n"
		"On a terminal it shows the plan and asks for the recording's id; elsewhere it\n"
		"needs --yes. It cannot be undone.\n";
static const char examples_shred_recording[] =
		"  recsealctl shred recording " SAMPLE " --dry-run\n"
		"  recsealctl shred recording " SAMPLE " --reason 'card number was read out'\n"
		"  recsealctl shred recording " SAMPLE " --with-parts --reason 'the whole call'\n";

static const char help_root_show[] =
		"Checks every copy of the root, and shows them: the main copy (main), its\n"
		"mirrors, and copies that were given up without being overwritten. It changes\n"
		"nothing: the keeper uses a mirror that is back again within seconds.\n";
static const char examples_root_show[] = "  recsealctl root show\n";

static const char help_root_test[] =
		"The same as root show, for monitoring: the exit status is 1 when a copy cannot\n"
		"be reached or does not hold the present root. Nothing is erased until all\n"
		"copies can be reached.\n";
static const char examples_root_test[] = "  recsealctl root test\n";

static const char help_root_add[] =
		"Adds a mirror of the root: a file in a directory on other media, or a second\n"
		"TPM. The vault opens with any one copy. An erasure is done when every copy is\n"
		"overwritten. The assurance is that of the weakest copy.\n";
static const char examples_root_add[] =
		"  recsealctl root add safe --file /media/safe/recseal --reason 'mainboard loss'\n"
		"  recsealctl root add second --tpm2 device:/dev/tpmrm1 --reason 'second TPM'\n";

static const char help_root_replace[] =
		"Adds the mirror at its new location, then drops the old one as root drop does. "
		"For\n"
		"main, the main copy, give no location: when it is lost (a dead TPM), it is made\n"
		"again where the configuration says.\n";
static const char examples_root_replace[] =
		"  recsealctl root replace safe --file /media/new --reason 'old disk fails'\n"
		"  recsealctl root replace main --reason 'mainboard changed'\n";

static const char help_root_drop[] =
		"Overwrites the mirror's copy of the root and forgets the mirror.\n"
		"\n"
		"A mirror that cannot be reached is given up once it has been away for AwayLimit=\n"
		"(7 days): its copy is not overwritten, every shred says so, and the mirror stays\n"
		"on record. It opens what was sealed until then, and nothing later. When it is\n"
		"back, drop it again: then its copy is overwritten. If a mirror in use has the\n"
		"same name, the one that was given up goes first.\n";
static const char examples_root_drop[] = "  recsealctl root drop safe --reason 'disk is retired'\n";

static const char help_spool_plan[] =
		"Shows what would become of every file of a spool if recseald took it over\n"
		"now: taken (and for which account), ignored, refused, or waiting for its writer\n"
		"or its bridge. NAME is a spool of the configuration. A path (with a slash) may\n"
		"be any folder: say with --profile which bridge leaves its files there.\n"
		"\n"
		"Needs no service, and changes nothing. Run it as root, or as somebody who may\n"
		"read the folder and the configuration. Exit status 1 if something could not be\n"
		"read.\n";
static const char examples_spool_plan[] =
		"  recsealctl spool plan pbx --verbose\n"
		"  recsealctl spool plan /var/lib/freeswitch/recordings --profile freeswitch\n"
		"  recsealctl spool plan pbx --json | jq '.accounts'\n";

static const char help_spool_accept[] =
		"Lets recseald take recordings from a spool that held files when the vault met it\n"
		"first. Until somebody says so nothing of such a spool is sealed or removed, nor\n"
		"what comes after. Look at `recsealctl spool plan` first, and move away what has\n"
		"to stay: what is taken is destroyed when its time is over.\n"
		"\n"
		"It holds for this folder, also after a restart. Another folder or filesystem\n"
		"under the same path waits again. Operators and officers may do it; the audit log\n"
		"keeps who did, and why.\n";
static const char examples_spool_accept[] =
		"  recsealctl spool accept pbx --reason 'greetings were moved, change 4711'\n";

static const char help_clock_confirm[] =
		"States that the clock of the keeper's machine is right now. Needed only where it\n"
		"is not synchronised: the vault then does not know whether a clock that is ahead\n"
		"is right, and keeps what would expire. `recsealctl status` shows what the vault\n"
		"has counted, and what the machine's clock says.\n"
		"\n"
		"Look at the clock first (date -u). What is due by it is erased at once, for "
		"good.\n"
		"The times of recordings that were sealed while the time was not known are put\n"
		"right. Only officers may do it; the audit log keeps who did, and why.\n";
static const char examples_clock_confirm[] =
		"  recsealctl status --json | jq .clock\n"
		"  recsealctl clock confirm --reason 'checked against the tower clock'\n";

const struct command command_table[] = {
		{
				.name = "status",
				.synopsis = "[--json]",
				.summary = "show whether all is sealed, and what a shred is worth",
				.help = help_status,
				.examples = examples_status,
				.run = cmd_status,
		},
		{
				.name = "doctor",
				.synopsis = "[--json]",
				.summary = "check how everything is set up, and say what to change",
				.help = help_doctor,
				.examples = examples_doctor,
				.run = cmd_doctor,
		},
		{
				.name = "list",
				.synopsis = "[--account ACCOUNT] [--state STATE] [--since TIME] "
					    "[--until TIME] [--json]",
				.summary = "list recordings, oldest first",
				.help = help_list,
				.examples = examples_list,
				.options = LIST_OPTIONS,
				.run = cmd_list,
		},
		{
				.name = "show",
				.synopsis = "RECORDING [--json]",
				.summary = "show everything known about one recording",
				.help = help_show,
				.examples = examples_show,
				.min_operands = 1,
				.max_operands = 1,
				.run = cmd_show,
		},
		{
				.name = "play",
				.synopsis = "RECORDING [-o FILE] --reason TEXT",
				.summary = "decrypt one recording: its original bytes",
				.help = help_play,
				.examples = examples_play,
				.min_operands = 1,
				.max_operands = 1,
				.options = OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_REASON),
				.run = cmd_play,
		},
		{
				.name = "verify",
				.synopsis = "RECORDING... | --all [--reason TEXT] [--json]",
				.summary = "check that recordings open, to the last byte",
				.help = help_verify,
				.examples = examples_verify,
				.max_operands = COMMAND_OPERANDS_ANY,
				.options = OPTION_BIT(OPTION_ALL) | OPTION_BIT(OPTION_REASON),
				.run = cmd_verify,
		},
		{
				.name = "account list",
				.synopsis = "[--json]",
				.summary = "list accounts",
				.help = help_account_list,
				.examples = examples_account_list,
				.run = cmd_account_list,
		},
		{
				.name = "account show",
				.synopsis = "ACCOUNT [--json]",
				.summary = "show everything known about one account",
				.help = help_account_show,
				.examples = examples_account_show,
				.min_operands = 1,
				.max_operands = 1,
				.run = cmd_account_show,
		},
		{
				.name = "account allow",
				.synopsis = "ACCOUNT [--json] --reason TEXT",
				.summary = "allow the name of a shredded account again",
				.help = help_account_allow,
				.examples = examples_account_allow,
				.min_operands = 1,
				.max_operands = 1,
				.options = OPTION_BIT(OPTION_REASON),
				.run = cmd_account_allow,
		},
		{
				.name = "spool plan",
				.synopsis = "NAME | PATH [--profile PROFILE] [--config FILE] "
					    "[--verbose] [--json]",
				.summary = "show what would be taken from a spool, and whose it is",
				.help = help_spool_plan,
				.examples = examples_spool_plan,
				.min_operands = 1,
				.max_operands = 1,
				.options = OPTION_BIT(OPTION_PROFILE) | OPTION_BIT(OPTION_CONFIG) |
					   OPTION_BIT(OPTION_VERBOSE),
				.run = cmd_spool_plan,
		},
		{
				.name = "spool accept",
				.synopsis = "NAME [--json] --reason TEXT",
				.summary = "let recordings be taken from a spool that held files",
				.help = help_spool_accept,
				.examples = examples_spool_accept,
				.min_operands = 1,
				.max_operands = 1,
				.options = OPTION_BIT(OPTION_REASON),
				.run = cmd_spool_accept,
		},
		{
				.name = "quarantine assign",
				.synopsis = "RECORDING --account ACCOUNT [--json] --reason TEXT",
				.summary = "give a recording from quarantine to its account",
				.help = help_quarantine_assign,
				.examples = examples_quarantine_assign,
				.min_operands = 1,
				.max_operands = 1,
				.options = OPTION_BIT(OPTION_ACCOUNT) | OPTION_BIT(OPTION_REASON),
				.run = cmd_quarantine_assign,
		},
		{
				.name = "shred account",
				.synopsis = "ACCOUNT [--dry-run] [--yes] [--json] --reason TEXT",
				.summary = "destroy the keys of an account and all its recordings",
				.help = help_shred_account,
				.examples = examples_shred_account,
				.min_operands = 1,
				.max_operands = 1,
				.options = SHRED_OPTIONS,
				.run = cmd_shred_account,
		},
		{
				.name = "shred recording",
				.synopsis = "RECORDING [--with-parts] [--dry-run] [--yes] [--json] "
					    "--reason TEXT",
				.summary = "destroy the key of one recording",
				.help = help_shred_recording,
				.examples = examples_shred_recording,
				.min_operands = 1,
				.max_operands = 1,
				.options = SHRED_OPTIONS | OPTION_BIT(OPTION_WITH_PARTS),
				.run = cmd_shred_recording,
		},
		{
				.name = "root show",
				.synopsis = "[--json]",
				.summary = "show where the root of all keys is kept",
				.help = help_root_show,
				.examples = examples_root_show,
				.run = cmd_root_show,
		},
		{
				.name = "root test",
				.synopsis = "[--json]",
				.summary = "check that every copy holds the root",
				.help = help_root_test,
				.examples = examples_root_test,
				.run = cmd_root_test,
		},
		{
				.name = "root add",
				.synopsis = "NAME (--file DIRECTORY | --tpm2 TCTI) --reason TEXT",
				.summary = "add a mirror, one more copy of the root",
				.help = help_root_add,
				.examples = examples_root_add,
				.min_operands = 1,
				.max_operands = 1,
				.options = MIRROR_OPTIONS,
				.run = cmd_root_add,
		},
		{
				.name = "root replace",
				.synopsis = "NAME [--file DIRECTORY | --tpm2 TCTI] --reason TEXT",
				.summary = "replace a copy of the root by a new one",
				.help = help_root_replace,
				.examples = examples_root_replace,
				.min_operands = 1,
				.max_operands = 1,
				.options = MIRROR_OPTIONS,
				.run = cmd_root_replace,
		},
		{
				.name = "root drop",
				.synopsis = "NAME --reason TEXT",
				.summary = "overwrite a mirror of the root, or give up a lost one",
				.help = help_root_drop,
				.examples = examples_root_drop,
				.min_operands = 1,
				.max_operands = 1,
				.options = OPTION_BIT(OPTION_REASON),
				.run = cmd_root_drop,
		},
		{
				.name = "clock confirm",
				.synopsis = "[--json] --reason TEXT",
				.summary = "state that the keeper's clock is right now",
				.help = help_clock_confirm,
				.examples = examples_clock_confirm,
				.options = OPTION_BIT(OPTION_REASON),
				.run = cmd_clock_confirm,
		},
		{0},
};
