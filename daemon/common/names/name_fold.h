/* Names=: which spellings of a name are one account.
 *
 * exact  Names are bytes.
 * dns    Domain names (RFC 1035, 5890): case, the dot at the end, full-width forms and Punycode
 *        make no difference. "Acme.Example.com." and "acme.example.com" are one account, and so are
 *        "xn--mller-kva.example" and "müller.example". What IDNA2008 keeps apart stays apart ("ß"
 *        and "ss").
 * nfc    Unicode's composed form (NFC), without blanks at either end and without dots at the last:
 *        what file systems and their clients change. Case stays.
 *
 * A name that is not UTF-8, and one of which nothing would be left, stays as it is. */
#pragma once

enum name_folding { NAME_EXACT, NAME_DNS, NAME_NFC };

/* The account's name, for free(). Folding it again changes nothing. 0, -ENOMEM. */
int name_fold(enum name_folding folding, const char *name, char **ret_folded);

/* The word of Names=; -EINVAL for another. */
int name_fold_parse(const char *word, enum name_folding *ret_folding);
