"""What is said about tokens that did nothing, or not what they seem to."""


cdef bint is_number(bytes token):
    """Whether a token with a dash is a number rather than a flag; ``-5x`` is one, ``-info`` is not."""
    cdef const char *text = token
    cdef char *end = NULL
    if token[1:3].strip(b".")[:1].isdigit():
        return True
    nb_strtod(text, &end)
    return end != text and end[0] == 0


cdef misread(rule, bytes text, bint real):
    """What a value was read as, where that is less than what is written there; None where all is well.

    real: numbers of cells need not be whole.
    """
    cdef const char *start = text
    cdef char *end = NULL
    cdef double value
    if rule.convert in (None, "word") or rule.match == "own" or (rule.action == "detector_abs" and b"inf" in text):
        return None
    if rule.convert in WHOLE and not (real and rule.convert == "cells"):
        strtoll(start, &end, 10)
        value = atoi(start)
    else:
        value = nb_strtod(start, &end)
        if rule.convert == "cells" and counted(start) != value:  # -N 1e3
            return counted(start)
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


cdef nearest(rules, token):
    """The flag of the rules that a token was probably meant to be, or None if no flag is near."""
    stem = token.lstrip("-").partition("=")[0].lower()
    if not 0 < len(stem) < 32:
        return None
    # one slip in a short word, two in a longer one; none in two letters, where everything is near
    best, least = None, 1 + (len(stem) > 2) + (len(stem) > 6)
    for rule in rules:
        for name in rule.names if rule.action != "retired" and rule.match != "bare" else ():
            known = name[1:].lower()
            distance = edit_distance(stem, known)
            # cut short, or gone on with: -interp, -polarization
            if distance and min(len(stem), len(known)) > 2 and (known.startswith(stem) or stem.startswith(known)):
                distance = 1
            if distance < least:
                best, least = name, distance
    return best


cdef list unknown_positions(argv, events):
    known = set()
    for position, _, rule, words, _ in events:
        known.add(position)
        if rule.convert == "word":
            known.update(range(position + 1, position + 1 + len(words)))
    raw = encoded(list(argv))
    return [i for i in range(len(raw)) if raw[i][:1] == b"-" and i not in known and not is_number(raw[i])]


cdef list event_sentences(event, bint alone, dict settled, bint real):
    """What deserves a warning about a rule that fired.

    alone: no other rule fired for the same token. settled: where each option was set for the last time. real: as of
    `misread`.
    """
    position, token, rule, words, changes = event
    if rule.action == "retired":
        return [f"{token} is a flag of older documents and was ignored; {rule.help}"]
    if rule.action == "words" and not changes:
        return [f"{token} takes {rule.metavar.replace('|', ' or ')} and ignored {words[0]!r}"]
    meant = alone or "-" + token.lstrip("-") in rule.names
    if not meant and any([settled[name] > position for name, _ in changes]):
        return []
    who = token if meant else f"{token} fires {rule.name} too, which"
    kind = "a whole number" if rule.convert in WHOLE else "a number"
    read = [(word, misread(rule, encoded([word])[0], real)) for word in words]
    read = [f"{word!r} as {value:g}" for word, value in read if value is not None]
    return [f"{who} takes {kind} and reads {' and '.join(read)}"] if read else []


cdef str short_sentence(token, rule):
    needed = "a value" if rule.values < 2 else f"{rule.values} values"
    return f"{token} needs {needed} after it and was ignored"


cdef list sentences(Table table, list tokens, list events):
    """The warnings about the tokens, in their order."""
    cdef list said = []
    cdef int position, covered = 0
    cdef bint claimed = False  # whether a flag that did nothing may have meant the words that follow as its values
    cdef bint real
    fired, short, settled, values = {}, {}, {}, {}
    for event in events:
        (short if event[4] is None else fired).setdefault(event[0], []).append(event)
        settled.update([(name, event[0]) for name, _ in event[4] or ()])
        values.update(event[4] or ())
    real = values.get("physics") == "exact" and values.get("shape", "square") != "square"
    unknown = set(unknown_positions(tokens, events))
    for position, token in enumerate(tokens):
        if position in fired:
            claimed = False
            for event in fired[position]:
                said.extend(event_sentences(event, len(fired[position]) == 1, settled, real))
                # -curved_det 1 is how users of the reference made sure that it counts
                spare = 1 if event[2].action == "curved_det" else 0
                covered = max(covered, position + 1 + max(len(event[3]), spare))
        elif position in short:
            claimed = True
            said.append(short_sentence(token, short[position][0][2]))
        elif position in unknown:
            claimed = True
            near = table.nearest_flag(token)
            hint = f"; did you mean {near}?" if near else ""
            said.append(f"{token} is not a {table.program} flag and was ignored{hint}")
        elif position >= covered and not claimed:
            said.append(f"{token} belongs to no flag and was ignored")
    return said
