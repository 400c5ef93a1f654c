/* What glitters: a drifting starfield in three depths, sparks where something bounced, and the sun. */
#include "hot_plugin.h"

#include <math.h>

#define STARS  90
#define SPARKS 256
#define BURST  7                    /* try: 30 — fireworks at every bounce */

typedef struct { float x, y, depth; } star;
typedef struct { float x, y, vx, vy, life, hue; } spark;

static const float wind    = 5.0f;  /* try: -60.0f — the stars fly the other way, fast */
static const float embers  = 40.0f; /* try: -40.0f — sparks rise instead of falling */

static star     stars[STARS];
static int      star_count;
static spark    sparks[SPARKS];
static unsigned next_spark;
static uint32_t dice = 2463534242u;

float chance(float low, float high)
{
    dice ^= dice << 13; dice ^= dice >> 17; dice ^= dice << 5;      /* Marsaglia's xorshift32 */
    return low + (high - low) * (float)(dice >> 8) / 16777216.0f;
}

void sparkle_burst(float x, float y, float hue)
{
    for (int i = 0; i < BURST; i++) {
        float angle = chance(0, 6.2832f), speed = chance(8, 34);
        sparks[next_spark++ % SPARKS] = (spark){
            x, y, speed * cosf(angle), speed * sinf(angle) - 8, chance(0.3f, 0.9f), hue };
    }
}

void sparkle_step(float dt)
{
    for (; star_count < STARS; star_count++)
        stars[star_count] = (star){ chance(0, 1), chance(0, 1), (float)(1 + star_count % 3) };

    for (int i = 0; i < STARS; i++) {
        stars[i].x -= wind * stars[i].depth * dt / 300;
        stars[i].x -= floorf(stars[i].x);
    }
    for (int i = 0; i < SPARKS; i++) {
        spark *s = &sparks[i];
        if (s->life <= 0) continue;
        s->life -= dt;
        s->vy += embers * dt;
        s->x += s->vx * dt;
        s->y += s->vy * dt;
    }
}

void sparkle_draw(float time)
{
    for (int i = 0; i < STARS; i++) {
        float twinkle = 0.6f + 0.4f * sinf(time * 2.5f + (float)i);
        uint32_t grey = (uint32_t)(stars[i].depth * 62 * twinkle);
        draw_disc(stars[i].x * world_w, stars[i].y * WORLD_H, 0.1f, 0, grey << 16 | grey << 8 | (grey + grey / 4));
    }
    if (sun > 0)
        draw_disc(0.5f * world_w, 0.5f * WORLD_H, 7 + 0.6f * sinf(time * 3), 0.9f, 0xffd060);
    for (int i = 0; i < SPARKS; i++) {
        const spark *s = &sparks[i];
        if (s->life > 0) draw_disc(s->x, s->y, s->life, 0, palette_colour(s->hue + 0.3f * s->life));
    }
}
