// A troupe of objects on the heap, one for each body. They are made once and live through every reload: edit a virtual
// function and the very same objects do the new thing in the next frame.
#include "hot_plugin.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

class Sprite {
public:
    explicit Sprite(int number) : number_(number) {}
    virtual ~Sprite() = default;

    virtual const char *name() const = 0;
    virtual void draw(const body &at, float time) const = 0;
    virtual void step(float dt) { age_++; turn_ += dt; }

    long age() const { return age_; }

protected:
    // Draws a dot at an angle and a distance from the body.
    void satellite(const body &at, float angle, float distance, float radius, float hue) const {
        draw_disc(at.x + distance * std::cos(angle), at.y + distance * std::sin(angle), radius, 0, palette_colour(hue));
    }

    int   number_;
    long  age_ = 0;
    float turn_ = 0;
};

// A bright head; the fading pixels make its tail.
class Comet final : public Sprite {
public:
    using Sprite::Sprite;
    const char *name() const override { return "comet"; }       // try: "meteor"

    void draw(const body &at, float time) const override {
        float flicker = 0.75f + 0.25f * std::sin(time * 9 + number_);
        draw_disc(at.x, at.y, at.radius * 1.1f, 1, palette_colour(at.hue));
        draw_disc(at.x, at.y, at.radius * 0.4f * flicker, 0, 0xffffff);
    }
};

// A planet with two moons of its own.
class Planet final : public Sprite {
public:
    using Sprite::Sprite;
    const char *name() const override { return "planet"; }

    void draw(const body &at, float) const override {
        int moons = 2;                                          // try: 6
        draw_disc(at.x, at.y, at.radius, 0.4f, palette_colour(at.hue));
        for (int i = 0; i < moons; i++)
            satellite(at, turn_ * 4 + 6.2832f * i / moons, at.radius * 2, 0.6f, at.hue + 0.25f);
    }
};

// Petals that open and close while it spins.
class Flower final : public Sprite {
public:
    using Sprite::Sprite;
    const char *name() const override { return "flower"; }

    void step(float dt) override {
        Sprite::step(dt);
        open_ = 0.9f + 0.5f * std::sin(turn_ * 2);              // try: 2.0f + 1.5f * std::sin(turn_ * 5)
    }

    void draw(const body &at, float) const override {
        const int petals = 5;                                   // try: 9
        for (int i = 0; i < petals; i++)
            satellite(at, turn_ * 1.5f + 6.2832f * i / petals, at.radius * open_, at.radius * 0.45f, at.hue + 0.05f * i);
        draw_disc(at.x, at.y, at.radius * 0.5f, 0.5f, 0xfff0c0);
    }

private:
    float open_ = 1;
};

static std::vector<std::unique_ptr<Sprite>> troupe;

static std::unique_ptr<Sprite> hire(int number) {
    switch (number % 3) {
    case 0:  return std::make_unique<Comet>(number);
    case 1:  return std::make_unique<Planet>(number);
    default: return std::make_unique<Flower>(number);
    }
}

void sprites_step(float dt) {
    while (static_cast<int>(troupe.size()) < body_count) troupe.push_back(hire(static_cast<int>(troupe.size())));
    while (static_cast<int>(troupe.size()) > body_count) troupe.pop_back();
    for (auto &sprite : troupe) sprite->step(dt);
}

void sprites_draw(float time) {
    for (std::size_t i = 0; i < troupe.size(); i++) troupe[i]->draw(bodies[i], time);
}

// The names of the first three, asked of the objects themselves.
void sprites_names(char *text, size_t size) {
    std::string names;
    for (std::size_t i = 0; i < troupe.size() && i < 3; i++) {
        if (i > 0) names += '+';
        names += troupe[i]->name();
    }
    text[names.copy(text, size - 1)] = '\0';
}

long sprites_age() { return troupe.empty() ? 0 : troupe.front()->age(); }
