# cython: language_level=3, cdivision=True
"""Command line tokens to options, by the rules of the flag table, in the way the reference program reads them.

``argv`` is everywhere the list of tokens without the program's name, as ``sys.argv[1:]`` has them; bytes that are not
text in the file system's encoding travel as surrogate escapes and come through unharmed.

An event says what one token did, as a tuple ``(position, token, rule, words, changes)``: position in argv, the `Rule`
that its token fits, the tokens it read as values, and the ``(option, value)`` pairs it set; changes is None where the
rule did not fire because too few tokens follow.
"""

from libc.stdlib cimport free, malloc, strtoll
from libc.string cimport memset, strcmp, strlen, strstr

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.flags.options import Options

from .rules import MAX_COUNT, RETIRED, RTD, RULES, UNITS

cdef extern from "Python.h":
    bytes PyUnicode_EncodeFSDefault(object)

cdef extern from *:
    """
    /* strtod of the C locale: a host program may have set one with a decimal comma, which the reference never does */
    #include <locale.h>
    #include <stdlib.h>
    #ifdef __APPLE__
    #include <xlocale.h>
    #endif
    #ifdef _WIN32
    static double nb_strtod(const char *text, char **end)
    {
        static _locale_t c_locale = NULL;
        if (!c_locale) c_locale = _create_locale(LC_ALL, "C");
        return _strtod_l(text, end, c_locale);
    }
    #else
    static double nb_strtod(const char *text, char **end)
    {
        static locale_t c_locale = (locale_t)0;
        if (!c_locale) c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        return c_locale ? strtod_l(text, end, c_locale) : strtod(text, end);
    }
    #endif
    """
    double nb_strtod(const char *text, char **end) noexcept

cdef enum:
    HAS
    IS
    OWN

cdef struct Needle:
    const char *text
    int match
    int rule  # index into the table's rules

cdef class Table:
    """The rules, those of the first pass in front, with their needles where C can walk over them."""

    cdef tuple rules
    cdef list texts  # owns what the needles point at
    cdef Needle *needles
    cdef int count, first_pass

    def __cinit__(self):
        cdef int i
        self.rules = tuple(sorted(RULES, key=lambda rule: not rule.first_pass))
        self.texts = []
        owners = []
        for i, rule in enumerate(self.rules):
            for text in rule.needles:
                self.texts.append(text.encode())
                owners.append(i)
        self.count = len(owners)
        self.first_pass = sum(len(rule.needles) for rule in self.rules if rule.first_pass)
        self.needles = <Needle *> malloc(self.count * sizeof(Needle))
        if self.needles == NULL:
            raise MemoryError()
        for i in range(self.count):
            rule = self.rules[owners[i]]
            self.needles[i].text = <bytes> self.texts[i]
            self.needles[i].match = HAS if rule.match == "has" else IS if rule.match == "is" else OWN
            self.needles[i].rule = owners[i]

    def __dealloc__(self):
        free(self.needles)

    cdef list matching(self, const char *token, bint first_pass=False):
        """The rules that the token fits, in order; those of the first pass only, if so asked."""
        cdef list found = []
        cdef Needle *needle
        cdef size_t size = strlen(token), k
        cdef int i, last = -1
        cdef char[256] follows  # whether a letter stands behind a dash, as the first letter of a needle does
        memset(follows, 0, sizeof(follows))
        for k in range(size):
            if token[k] == b"-":
                follows[<unsigned char> token[k + 1]] = 1
        for i in range(self.first_pass if first_pass else self.count):
            needle = &self.needles[i]
            if not follows[<unsigned char> needle.text[1]]:
                continue
            if needle.rule == last:
                continue
            if needle.match == HAS:
                if strstr(token, needle.text) == NULL:
                    continue
            elif strcmp(token, needle.text) != 0:
                if needle.match == IS or token[0] != b"-" or strcmp(token + 1, needle.text) != 0:
                    continue
            last = needle.rule
            found.append(self.rules[last])
        return found


#: conversions that read a whole number as C's atoi does
cdef tuple WHOLE = ("int", "cells", "seed")

cdef Table _table = None


cdef Table table():
    """The one table, made when first needed."""
    global _table
    if _table is None:
        _table = Table()
    return _table


cdef list encoded(list argv):
    """The tokens as the bytes a C program would see."""
    cdef list raw = []
    cdef bytes text
    for token in argv:
        try:
            text = PyUnicode_EncodeFSDefault(token)
        except UnicodeEncodeError:
            raise NanoBraggError(f"{token!r} on the command line cannot be written in the file system's encoding; "
                                 "use another spelling") from None
        if <size_t> len(text) != strlen(text):
            raise NanoBraggError(f"{token!r} on the command line contains a null character; leave it out")
        raw.append(text)
    return raw


cdef double atof(const char *text) noexcept:
    return nb_strtod(text, NULL)


cdef int atoi(const char *text) noexcept:
    # 64 bits saturate, then the low 32 count: what glibc's atoi makes of a number that no int holds
    return <int> strtoll(text, NULL, 10)


cdef int negated(int number) noexcept:
    # the most negative number is its own negative, as in the reference
    return <int> (0 - <unsigned int> number)


cdef own_value(rule, token, word):
    """A value of one of our own flags; unlike the reference's, a bad one is an error."""
    if rule.convert == "choice":
        if word in rule.choices:
            return word
    elif word.isascii() and word.isdigit() and int(word) <= MAX_COUNT:
        return int(word)
    raise NanoBraggError(f"{token} does not take {word!r}; {allowed(rule)}")


cdef str allowed(rule):
    if rule.convert == "choice":
        return f"give it {' or '.join(rule.choices)}"
    if rule.values > 1:
        return f"give it {rule.values} whole numbers from 0 to {MAX_COUNT} ({rule.metavar})"
    return f"give it a whole number from 0 to {MAX_COUNT}"


cdef converted(rule, token, word, bytes text):
    """One value, read and in the units it is kept in."""
    convert = rule.convert
    if convert == "word":
        return word
    if convert == "int":
        return atoi(text)
    if convert == "cells":
        return <double> atoi(text)
    if convert == "seed":
        return negated(atoi(text))
    if convert == "eV":
        return (12398.42 / atof(text)) / 1.0e10
    if rule.match == "own":
        return own_value(rule, token, word)
    factor, divisor = UNITS[convert]
    return atof(text) * <double> factor / <double> divisor


cdef list cell_changes(list raw, int position, int last, options):
    """-cell reads up to six numbers, up to the first token with a dash; what it does not reach keeps its value."""
    cdef list cell = [*options.cell_lengths, *options.cell_angles]
    cdef int i
    for i in range(last - position):
        cell[i] = atof(raw[position + 1 + i]) if i < 3 else atof(raw[position + 1 + i]) / <double> RTD
    return [("user_cell", True), ("cell_lengths", tuple(cell[:3])), ("cell_angles", tuple(cell[3:]))]


cdef list sensor_changes(bytes text):
    cdef double depth = atof(text)
    if b"inf" in text or depth == 0.0:
        return [("detector_thick", 0.0), ("detector_mu", 0.0)]
    return [("detector_mu", 1.0 / (depth * 1e-6))]


cdef list pivot_changes(bytes text):
    if b"beam" in text:
        return [("pivot", "beam")]
    if b"sample" in text:
        return [("pivot", "sample")]
    return []


cdef int values_end(rule, list raw, int position):
    """Position of the last value that the rule reads."""
    cdef int end = position + rule.values, i
    if rule.action != "cell":
        return end
    for i in range(position + 1, min(position + 7, <int> len(raw))):
        if (<bytes> raw[i])[:1] == b"-":
            return i - 1
        end = i
    return end


cdef list changes_of(rule, list argv, list raw, int position, int last, options):
    """What the rule sets, in order, as (option, value) pairs; None where it does not fire after all."""
    action = rule.action
    cdef list changes
    if action == "set":
        changes = list(rule.sets)
        if rule.dests:
            values = [converted(rule, argv[position], argv[i], raw[i]) for i in range(position + 1, last + 1)]
            value = values[0] if len(values) == 1 else tuple(values)
            changes.extend([(dest, value) for dest in rule.dests])
        return changes
    if action == "cell":
        return cell_changes(raw, position, last, options)
    if action == "misset_random":
        return list(rule.sets) if b"rand" in raw[last] else None
    if action == "detector_abs":
        return sensor_changes(raw[last])
    if action == "pivot":
        return pivot_changes(raw[last])
    if action == "curved_det":
        return None if options.compat == "c" and position + 1 == len(raw) else list(rule.sets)
    return []


def parse(argv, options=None, events=None):
    """Apply a command line to options.

    options: an `Options` to change, for instance one that already holds what image headers said; a fresh one if None.
    events: a list to append an event to for each rule that fired or lacked values (see the module), or None.
    Returns the options. Raises NanoBraggError for a bad value of a flag that only nanobragg_py has; like the
    reference, it never complains about any other.
    """
    cdef list tokens = list(argv), raw = encoded(tokens), changes
    cdef Table rules = table()
    cdef int position, last, count = len(tokens)
    cdef bytes text
    if options is None:
        options = Options()
    for position in range(count):
        text = raw[position]
        if text[:1] != b"-":
            continue
        for rule in rules.matching(text):
            last = values_end(rule, raw, position)
            changes = None
            if position + rule.values < count:
                changes = changes_of(rule, tokens, raw, position, last, options)
            elif rule.group == RETIRED:
                changes, last = [], count - 1
            elif rule.match == "own":
                raise NanoBraggError(f"{tokens[position]} lacks a value; {allowed(rule)}")
            if events is not None and (changes is not None or rule.action != "misset_random"):
                words = () if changes is None else tuple(tokens[position + 1 : last + 1])
                events.append((position, tokens[position], rule, words, changes))
            if changes is None:
                continue
            for name, value in changes:
                setattr(options, name, value)
            if rule.stop or (rule.action == "cell" and last < position + 6):
                break
    return options


def prescan(argv):
    """The first pass: ``(mask_file, img_file)``, names or None, whose headers count before any flag does."""
    cdef list tokens = list(argv), raw = encoded(tokens)
    found = {"mask_file": None, "img_file": None}
    for position in range(len(tokens) - 1):
        if raw[position][:1] == b"-":
            for rule in table().matching(raw[position], True):
                found[rule.dests[0]] = tokens[position + 1]
    return found["mask_file"], found["img_file"]


def matching_rules(token):
    """The rules that a token fits, in the order in which they are tried, whether or not one of them stops the rest."""
    (text,) = encoded([token])
    return table().matching(<bytes> text) if text[:1] == b"-" else []


# what is said about tokens that did nothing, or not what they seem to


cdef bint is_number(bytes token):
    """Whether a token with a dash is a number rather than a flag; ``-5x`` is one, ``-info`` is not."""
    cdef const char *text = token
    cdef char *end = NULL
    if token[1:3].strip(b".")[:1].isdigit():
        return True
    nb_strtod(text, &end)
    return end != text and end[0] == 0


cdef misread(rule, bytes text):
    """What a value was read as, where that is less than what is written there; None where all is well."""
    cdef const char *start = text
    cdef char *end = NULL
    cdef double value
    if rule.convert in (None, "word") or rule.match == "own" or (rule.action == "detector_abs" and b"inf" in text):
        return None
    if rule.convert in WHOLE:
        strtoll(start, &end, 10)
        value = atoi(start)
    else:
        value = nb_strtod(start, &end)
    return None if end != start and end[0] == 0 else value


cdef int edit_distance(str one, str other):
    """Insertions, deletions, replacements and swaps of neighbours between two words of at most 31 characters."""
    cdef int table[32][32]
    cdef int i, j, cost
    for i in range(len(one) + 1):
        table[i][0] = i
    for j in range(len(other) + 1):
        table[0][j] = j
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            cost = one[i - 1] != other[j - 1]
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + cost)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[len(one)][len(other)]


def nearest_flag(token):
    """The flag that a token was probably meant to be, or None if no flag is near."""
    stem = token.lstrip("-").partition("=")[0].lower()
    if not 0 < len(stem) < 32:
        return None
    # one slip in a short word, two in a longer one; none in two letters, where everything is near
    best, least = None, 1 + (len(stem) > 2) + (len(stem) > 6)
    for rule in RULES:
        for name in rule.names if rule.group != RETIRED else ():
            known = name[1:].lower()
            distance = edit_distance(stem, known)
            # cut short, or gone on with: -interp, -polarization
            if distance and min(len(stem), len(known)) > 2 and (known.startswith(stem) or stem.startswith(known)):
                distance = 1
            if distance < least:
                best, least = name, distance
    return best


def unknown_flags(argv, events=None):
    """The tokens that look like flags and are none, as ``(token, nearest flag or None)``.

    events: what `parse` reported for argv; None: parse it here. Numbers are no flags, and neither is what some flag
    took as a file name.
    """
    return [(argv[position], nearest_flag(argv[position])) for position in unknown_positions(argv, events)]


cdef list unknown_positions(argv, events):
    if events is None:
        events = []
        parse(argv, None, events)
    known = set()
    for position, _, rule, words, _ in events:
        known.add(position)
        if rule.convert == "word":
            known.update(range(position + 1, position + 1 + len(words)))
    raw = encoded(list(argv))
    return [i for i in range(len(raw)) if raw[i][:1] == b"-" and i not in known and not is_number(raw[i])]


cdef list event_sentences(event, bint alone, dict settled):
    """What deserves a warning about a rule that fired.

    alone: no other rule fired for the same token. settled: where each option was set for the last time.
    """
    position, token, rule, words, changes = event
    if rule.group == RETIRED:
        return [f"{token} is a flag of older documents and was ignored; {rule.help}"]
    if rule.action == "pivot" and not changes:
        return [f"{token} takes beam or sample and ignored {words[0]!r}"]
    meant = alone or "-" + token.lstrip("-") in rule.names
    if not meant and any([settled[name] > position for name, _ in changes]):
        return []
    who = token if meant else f"{token} fires {rule.name} too, which"
    kind = "a whole number" if rule.convert in WHOLE else "a number"
    read = [(word, misread(rule, encoded([word])[0])) for word in words]
    read = [f"{word!r} as {value:g}" for word, value in read if value is not None]
    return [f"{who} takes {kind} and reads {' and '.join(read)}"] if read else []


cdef str short_sentence(token, rule):
    needed = "a value" if rule.values < 2 else f"{rule.values} values"
    return f"{token} needs {needed} after it and was ignored"


def warning_sentences(argv, events=None):
    """What deserves a warning on a command line, one sentence each, in the order of the tokens.

    Unknown flags, those of older documents, flags that lack values, words that belong to no flag, and values that were
    read as something else than they say. events: what `parse` reported for argv; None: parse it here.
    """
    cdef list tokens = list(argv), said = []
    cdef int position, covered = 0
    cdef bint claimed = False  # whether a flag that did nothing may have meant the words that follow as its values
    if events is None:
        events = []
        parse(tokens, None, events)
    fired, short, settled = {}, {}, {}
    for event in events:
        (short if event[4] is None else fired).setdefault(event[0], []).append(event)
        settled.update([(name, event[0]) for name, _ in event[4] or ()])
    unknown = set(unknown_positions(tokens, events))
    for position, token in enumerate(tokens):
        if position in fired:
            claimed = False
            for event in fired[position]:
                said.extend(event_sentences(event, len(fired[position]) == 1, settled))
                # -curved_det 1 is how users of the reference made sure that it counts
                spare = 1 if event[2].action == "curved_det" else 0
                covered = max(covered, position + 1 + max(len(event[3]), spare))
        elif position in short:
            claimed = True
            said.append(short_sentence(token, short[position][0][2]))
        elif position in unknown:
            claimed = True
            nearest = nearest_flag(token)
            hint = f"; did you mean {nearest}?" if nearest else ""
            said.append(f"{token} is not a nanoBragg flag and was ignored{hint}")
        elif position >= covered and not claimed:
            said.append(f"{token} belongs to no flag and was ignored")
    return said
