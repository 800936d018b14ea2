"""A histogram of times in buckets as HdrHistogram's: every power of two of microseconds is cut into the same number of equal parts."""

PARTS = 4  # a bucket is at most a quarter of its lower end wide
BAR_COLUMNS = 40


def bucket_of(micros):
    """The lower end of the bucket that holds so many microseconds, and its width."""
    micros = int(micros)
    width = max(1, (1 << max(micros, 1).bit_length() - 1) // PARTS)
    return micros // width * width, width


def count(times_ms):
    """[(from us, below us, how many)], in order, without empty buckets."""
    counts = {}
    for time_ms in times_ms:
        bucket = bucket_of(round(time_ms * 1000))
        counts[bucket] = counts.get(bucket, 0) + 1
    return [(begin, begin + width, number) for (begin, width), number in sorted(counts.items())]


def text(buckets):
    """Lines to print: bucket in ms, requests, their share up to its end, a bar."""
    total = sum(number for _, _, number in buckets)
    most = max(number for _, _, number in buckets)
    lines, so_far = ["   from ms    below   requests   up to here"], 0
    for begin, end, number in buckets:
        so_far += number
        bar = "#" * round(BAR_COLUMNS * number / most) or "."
        lines.append(f"{begin / 1000:10.3f} {end / 1000:8.3f} {number:10d} {100 * so_far / total:10.4f} %  {bar}")
    return "\n".join(lines)
