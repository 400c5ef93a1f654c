/* What the units of the plugin know of each other. Nothing here belongs to HotLink: any program that calls
   tick() sixty times a second can run this plugin.

   All state lives in ordinary globals: bodies and score in C, the troupe of sprites in C++, the painter in Swift.
   Colours are 0xRRGGBB; hues are 0…1 round the palette; lengths are world units, y grows downwards. */
#ifndef HOT_PLUGIN_H
#define HOT_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint64_t number;   /* frame number, from 0 */
    double   time;     /* seconds since start */
    double   dt;       /* seconds since the last frame */
    int32_t  stop;     /* set it non-zero to end */
    int32_t  reserved;
} hotlink_frame;

#define WORLD_H    60.0f
#define MAX_BODIES 40

typedef struct { float x, y, vx, vy, radius, hue; } body;

/* tick.c: the order of things in one frame */
void tick(hotlink_frame *frame);

/* physics.c: what moves */
extern float gravity, sun;
extern body  bodies[MAX_BODIES];
extern int   body_count;
int  physics_step(float dt);                            /* returns the number of bounces */

/* sparkle.c: what glitters */
void  sparkle_burst(float x, float y, float hue);
void  sparkle_step(float dt);
void  sparkle_draw(float time);
float chance(float low, float high);

/* draw.c: pixels to the terminal */
extern float world_w;                                   /* follows the shape of the terminal */
int         draw_open(void);                            /* 0 when there is no terminal to draw on */
void        draw_fade(float dt);
void        draw_disc(float x, float y, float radius, float softness, uint32_t colour);
void        draw_show(const char *caption, float time);
const char *banner(void);

/* sprites.cpp: a troupe of C++ objects, one for each body */
void sprites_step(float dt);
void sprites_draw(float time);
void sprites_names(char *text, size_t size);
long sprites_age(void);                                 /* steps the oldest one has lived */

/* palette.swift: colours and moods */
void     palette_listen(int32_t bounces, float dt);
uint32_t palette_colour(float hue);
uint32_t palette_sky(float height);                     /* 0 at the top, 1 at the horizon */
void     palette_mood(char *text, intptr_t size);
int64_t  palette_strokes(void);                         /* how often it has listened */

#ifdef __cplusplus
}
#endif
#endif
