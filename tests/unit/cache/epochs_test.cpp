#include "penstock/cache/epochs.hpp"

#include <gtest/gtest.h>

namespace penstock::cache {
namespace {

TEST(Epochs, OnlyRise) {
  Epochs epochs;
  const std::string name = Epochs::NameOfTenant("team-a");
  EXPECT_TRUE(epochs.RaiseTo(name, 7));
  EXPECT_FALSE(epochs.RaiseTo(name, 7));
  EXPECT_FALSE(epochs.RaiseTo(name, 3));
  EXPECT_EQ(epochs.Raise(name), 8u);
  EXPECT_EQ(epochs.Values(), (std::map<std::string, std::uint64_t>{{"all", 0}, {"tenant:team-a", 8}}));
}

TEST(Epochs, WhatWasAskedForStaysInPlace) {
  Epochs epochs;
  const Epochs::Epoch& model = epochs.Of(Epochs::NameOfModel("m"));
  for (int i = 0; i < 1000; ++i) epochs.Raise(Epochs::NameOfTenant(std::to_string(i)));
  EXPECT_EQ(model.load(), 0u);
  epochs.RaiseTo("model:m", 4);
  EXPECT_EQ(model.load(), 4u);
  EXPECT_EQ(&epochs.all(), &epochs.Of(Epochs::kAll));
}

TEST(Epochs, ATenantAndAModelOfOneNameAreTwo) { EXPECT_NE(Epochs::NameOfTenant("x"), Epochs::NameOfModel("x")); }

}  // namespace
}  // namespace penstock::cache
