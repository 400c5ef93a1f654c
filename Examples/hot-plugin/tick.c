/* One frame: everything moves, then everything is drawn. Without a terminal (or with HOT_PLUGIN_PLAIN=1) a status
   line is printed every tenth frame instead; HOT_PLUGIN_EVERY=N changes the ten. */
#include "hot_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINTS 1                    /* try: 100 — the score goes on from where it is */

static uint64_t ticks;              /* counts calls; lives as long as the program does */
static int      score = 0;          /* try: 1000 — the game has changed it, so it is kept, and you are told */

static int is_plain(void)
{
    const char *plain = getenv("HOT_PLUGIN_PLAIN");
    return (plain && strcmp(plain, "1") == 0) || !draw_open();
}

static void print_status(const hotlink_frame *frame)
{
    const char *wish = getenv("HOT_PLUGIN_EVERY");
    int every = wish ? atoi(wish) : 10;
    if (every < 1 || ticks % (uint64_t)every != 0) return;

    char names[64], mood[32], line[320];
    sprites_names(names, sizeof names);
    palette_mood(mood, sizeof mood);
    int length = snprintf(line, sizeof line,
        "frame=%llu ticks=%llu score=%d balls=%d gravity=%.1f sprite=%s age=%ld mood=%s strokes=%lld banner=\"%s\"\n",
        (unsigned long long)frame->number, (unsigned long long)ticks, score, body_count, (double)gravity,
        names, sprites_age(), mood, (long long)palette_strokes(), banner());
    if (length >= (int)sizeof line) length = sizeof line - 1;
    if (write(STDOUT_FILENO, line, (size_t)length) < 0) frame = NULL;   /* nobody reads: go on playing */
}

void tick(hotlink_frame *frame)
{
    float time = (float)frame->time;
    float dt = frame->dt < 0.05 ? (float)frame->dt : 0.05f;             /* try: then dt *= 0.2f; — slow motion */

    ticks++;
    int bounces = physics_step(dt);
    score += bounces * POINTS;
    sparkle_step(dt);
    sprites_step(dt);
    palette_listen(bounces, dt);
    /* try: if (score > 500) frame->stop = 1;                           — the end */

    if (is_plain()) { print_status(frame); return; }

    draw_fade(dt);
    sparkle_draw(time);
    sprites_draw(time);

    char mood[32], caption[96];
    palette_mood(mood, sizeof mood);
    snprintf(caption, sizeof caption, "score %d   balls %d   mood %s", score, body_count, mood);
    draw_show(caption, time);
}
