/* What moves: balls that fall, bounce off a trampoline and off each other. */
#include "hot_plugin.h"

#include <math.h>

float gravity = 60.0f;              /* try: 15.0f — the moon; the balls in flight just begin to float */
float sun     = 0.0f;               /* try: 2500.0f — a sun appears, and falling becomes orbiting */

static const float bounce = 0.92f;  /* try: 0.70f — tired balls; 1.05f — wild ones */
static const float kick   = 62.0f;  /* try: 90.0f — what the trampoline gives back at least */
static int crowd = 9;               /* try: 24 — the newcomers join, the others do not notice */

body bodies[MAX_BODIES];
int  body_count;

static void welcome(body *b)
{
    b->x = chance(0.2f, 0.8f) * world_w;
    b->y = chance(5.0f, 20.0f);
    b->vx = chance(-24.0f, 24.0f);
    b->vy = chance(-10.0f, 10.0f);
    b->radius = chance(1.6f, 3.2f);
    b->hue = chance(0.0f, 1.0f);
}

static int bounce_off_walls(body *b)
{
    float right = world_w - b->radius, left = b->radius, floor = WORLD_H - b->radius, ceiling = b->radius;
    int hits = 0;

    if (b->x < left  && b->vx < 0) { b->vx = -b->vx; hits++; }
    if (b->x > right && b->vx > 0) { b->vx = -b->vx; hits++; }
    if (b->y < ceiling && b->vy < 0) { b->vy = -b->vy * bounce; hits++; }
    if (b->y > floor && b->vy > 0) {
        b->vy = -fmaxf(b->vy * bounce, kick * chance(0.8f, 1.2f));
        b->vx += chance(-6.0f, 6.0f);
        hits++;
    }
    b->x = fminf(fmaxf(b->x, left), right);
    b->y = fminf(fmaxf(b->y, ceiling), floor);
    if (hits) sparkle_burst(b->x, b->y + (b->y >= floor ? b->radius : 0), b->hue);
    return hits;
}

/* Two equal balls exchange what they have of speed along the line between them. */
static int bounce_off_each_other(body *a, body *b)
{
    float dx = b->x - a->x, dy = b->y - a->y, distance = sqrtf(dx * dx + dy * dy);
    if (distance >= a->radius + b->radius || distance < 0.01f) return 0;

    float nx = dx / distance, ny = dy / distance;
    float closing = (a->vx - b->vx) * nx + (a->vy - b->vy) * ny;
    if (closing <= 0) return 0;

    a->vx -= closing * nx; a->vy -= closing * ny;
    b->vx += closing * nx; b->vy += closing * ny;
    sparkle_burst(a->x + nx * a->radius, a->y + ny * a->radius, 0.5f * (a->hue + b->hue));
    return 1;
}

static void fall(body *b, float dt)
{
    float dx = 0.5f * world_w - b->x, dy = 0.5f * WORLD_H - b->y;
    float pull = sun / (dx * dx + dy * dy + 60.0f);
    float down = sun > 0 ? 0 : gravity;

    b->vx += pull * dx * dt;
    b->vy += (pull * dy + down) * dt;
    /* try: b->vx += 20 * dt;                          — wind */
    /* try: b->vx *= 0.99f; b->vy *= 0.99f;            — honey */
    float speed = sqrtf(b->vx * b->vx + b->vy * b->vy), limit = 110.0f;
    if (speed > limit) { b->vx *= limit / speed; b->vy *= limit / speed; }
    b->x += b->vx * dt;
    b->y += b->vy * dt;
}

int physics_step(float dt)
{
    int wanted = crowd < 1 ? 1 : crowd > MAX_BODIES ? MAX_BODIES : crowd;
    while (body_count < wanted) welcome(&bodies[body_count++]);
    body_count = wanted;

    int bounces = 0;
    for (int i = 0; i < body_count; i++) {
        fall(&bodies[i], dt);
        bounces += bounce_off_walls(&bodies[i]);
        for (int j = 0; j < i; j++) bounces += bounce_off_each_other(&bodies[j], &bodies[i]);
    }
    return bounces;
}
